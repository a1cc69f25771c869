package dev.prestage.engine.allocate;

import dev.prestage.engine.resource.Program;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleSupplier;

/// What staging is worth, measured: some starts of each program, drawn at random, are left without
/// it, and what programs waited in these is held against what they waited in the others.
///
/// The share is lower once there is enough to compare. A program for which staging is not worth
/// more than chance would explain is not staged for, but for that share of its starts; when these
/// turn out better, it is again.
///
/// What a run finds in the tier because others left it there is in both groups: what is measured is
/// what staging adds on this host.
public final class ControlStarts {
  /// A program's first starts are all staged for: nobody knows yet what it needs.
  static final int FIRST_STARTS = 10;

  /// So many controls are enough to judge by.
  public static final int ENOUGH = 30;

  /// Of the share, once there are enough.
  private static final double LATER = .2;

  /// What a start counts when the next one of its group has ended: the last fifty decide, because
  /// programs and hosts change.
  private static final double DECAY = .98;

  /// Of a difference of means, for 95 of 100 cases.
  private static final double MARGIN = 1.96;

  private final double share;
  private final DoubleSupplier random;
  private final Map<Program.Key, Groups> programs = new HashMap<>();

  private static final class Groups {
    long starts;
    final Group staged = new Group();
    final Group control = new Group();
  }

  /// The mean and the variance of waits, the newest counting most.
  private static final class Group {
    long count;
    double weight;
    double mean;
    double squares;

    void add(double seconds) {
      count++;
      weight = DECAY * weight + 1;
      double before = seconds - mean;
      mean += before / weight;
      squares = DECAY * squares + before * (seconds - mean);
    }

    /// The variance of the mean.
    double error() {
      return weight <= 1 ? Double.POSITIVE_INFINITY : squares / (weight - 1) / weight;
    }
  }

  /// What a program's starts waited, with and without staging.
  ///
  /// @param controls starts without
  /// @param staged starts with
  /// @param savedSeconds a start, by the means; NaN while one group is empty
  /// @param marginSeconds in 95 of 100 cases the truth is that close; infinite while nobody can say
  /// @param pays whether the program is staged for
  public record Comparison(
      Program.Key program,
      long controls,
      double controlSeconds,
      long staged,
      double stagedSeconds,
      double savedSeconds,
      double marginSeconds,
      boolean pays) {}

  /// @param share of starts, until there are enough: 0 for none
  /// @param random from 0 to 1
  public ControlStarts(double share, DoubleSupplier random) {
    this.share = share;
    this.random = random;
  }

  /// What was drawn for a start.
  public enum Draw {
    /// It is staged for, and not compared.
    NONE,
    /// It is staged for.
    STAGED,
    /// It is left without staging.
    CONTROL
  }

  /// Decides about a start.
  public Draw draw(Program.Key program) {
    if (share == 0) {
      return Draw.NONE;
    }
    Groups groups = programs.computeIfAbsent(program, _ -> new Groups());
    groups.starts++;
    if (groups.starts <= FIRST_STARTS) {
      // Its first runs wait for what nobody has seen yet.
      return Draw.NONE;
    }
    double rare = groups.control.count < ENOUGH ? share : LATER * share;
    boolean isRare = random.getAsDouble() < rare;
    return pays(groups) == isRare ? Draw.CONTROL : Draw.STAGED;
  }

  /// A run ended.
  ///
  /// @param draw what was drawn for it; nothing is counted for [Draw#NONE]
  /// @param seconds what its program waited in all
  public void ended(Program.Key program, Draw draw, double seconds) {
    Groups groups = programs.get(program);
    if (groups != null && draw != Draw.NONE) {
      (draw == Draw.CONTROL ? groups.control : groups.staged).add(seconds);
    }
  }

  private static boolean pays(Groups groups) {
    return groups.control.count < ENOUGH
        || groups.staged.count < ENOUGH
        || groups.control.mean - groups.staged.mean > margin(groups);
  }

  private static double margin(Groups groups) {
    return MARGIN * Math.sqrt(groups.control.error() + groups.staged.error());
  }

  /// All programs of which a control ended.
  public List<Comparison> comparisons() {
    List<Comparison> comparisons = new ArrayList<>();
    programs.forEach((program, groups) -> {
      Group control = groups.control;
      Group staged = groups.staged;
      if (control.count > 0) {
        comparisons.add(
            new Comparison(
                program,
                control.count,
                control.mean,
                staged.count,
                staged.mean,
                staged.count == 0 ? Double.NaN : control.mean - staged.mean,
                margin(groups),
                pays(groups)));
      }
    });
    return comparisons;
  }
}
