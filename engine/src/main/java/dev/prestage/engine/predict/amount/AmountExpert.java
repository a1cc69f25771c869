package dev.prestage.engine.predict.amount;

/// One way to foretell the next window's amount. Windows are of equal length and follow each other.
interface AmountExpert {
  /// The quantile of the next window's amount; 0 while nothing is known.
  double next();

  /// The amount of the window that has ended.
  void observe(double amount);
}
