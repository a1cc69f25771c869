package dev.prestage.engine.predict;

/// One expert of the Markov family: it knows one kind of evidence about the units that come next,
/// given the current request and recent history, and how often such evidence was right.
interface MarkovExpert {
  /// What an expert thinks of evidence that it never saw.
  float PRIOR = 0.1f;

  /// How often each kind of evidence was right.
  CountTable table();

  /// Adds the units for which it has evidence; by default it only judges those of others.
  default void collect(Situation now, Forecaster.Open open, Candidates into) {}

  /// The kind of evidence that it has about a candidate: a cell of its table.
  int cell(Situation now, Candidates of, int row);
}
