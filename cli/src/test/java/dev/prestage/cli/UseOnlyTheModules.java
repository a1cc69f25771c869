package dev.prestage.cli;

import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import java.util.List;
import java.util.Map;

/// Holds that a module uses only the modules that it may.
final class UseOnlyTheModules extends ArchCondition<JavaClass> {
  private static final String ROOT = "dev.prestage.";

  private final Map<String, List<String>> allowed;

  UseOnlyTheModules(Map<String, List<String>> allowed) {
    super("use only the modules that they may");
    this.allowed = allowed;
  }

  @Override
  public void check(JavaClass item, ConditionEvents events) {
    String own = moduleOf(item);
    List<String> others = allowed.get(own);
    if (others == null) {
      events.add(SimpleConditionEvent.violated(item, item.getName() + " is in no known module"));
      return;
    }
    for (Dependency dependency : item.getDirectDependenciesFromSelf()) {
      JavaClass target = dependency.getTargetClass().getBaseComponentType();
      boolean ours = target.getName().startsWith(ROOT);
      String other = ours ? moduleOf(target) : "";
      boolean fine = !ours || other.equals(own) || others.contains(other);
      events.add(new SimpleConditionEvent(item, fine, dependency.getDescription()));
    }
  }

  private static String moduleOf(JavaClass item) {
    String name = item.getPackageName() + ".";
    return name.startsWith(ROOT)
        ? name.substring(ROOT.length(), name.indexOf('.', ROOT.length()))
        : "";
  }
}
