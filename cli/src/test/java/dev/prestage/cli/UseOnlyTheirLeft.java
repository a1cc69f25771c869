package dev.prestage.cli;

import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import java.util.List;

/// Holds that a package of the engine uses only packages before it in a list, and the leaves. The
/// root package ties them together and may use all.
final class UseOnlyTheirLeft extends ArchCondition<JavaClass> {
  private static final String ENGINE = "dev.prestage.engine.";

  private final List<String> order;
  private final List<String> leaves;

  UseOnlyTheirLeft(List<String> order, List<String> leaves) {
    super("use only the packages to their left");
    this.order = order;
    this.leaves = leaves;
  }

  @Override
  public void check(JavaClass item, ConditionEvents events) {
    String own = packageOf(item);
    for (Dependency dependency : item.getDirectDependenciesFromSelf()) {
      JavaClass target = dependency.getTargetClass().getBaseComponentType();
      String other = packageOf(target);
      boolean allowed =
          own.isEmpty()
              || !target.getName().startsWith(ENGINE)
              || other.equals(own)
              || leaves.contains(other)
              || (order.contains(other) && order.indexOf(other) < order.indexOf(own));
      events.add(new SimpleConditionEvent(item, allowed, dependency.getDescription()));
    }
  }

  /// The engine package of a class, or nothing for its root package and everything else.
  private static String packageOf(JavaClass item) {
    String name = item.getPackageName() + ".";
    return name.startsWith(ENGINE) && name.length() > ENGINE.length()
        ? name.substring(ENGINE.length(), name.indexOf('.', ENGINE.length()))
        : "";
  }
}
