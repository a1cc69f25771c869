package dev.prestage.cli;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.nameMatching;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noMethods;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaFieldAccess;
import com.tngtech.archunit.core.domain.properties.HasOwner;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import dev.prestage.engine.resource.ResourceType;
import java.util.List;
import java.util.Map;

/// The arrows of the architecture, held.
@AnalyzeClasses(packages = "dev.prestage", importOptions = DoNotIncludeTests.class)
class ArchitectureTest {
  /// The engine's packages in the order in which each may use only those before it.
  private static final List<String> ENGINE =
      List.of("resource", "access", "history", "predict", "allocate", "stage");

  private static final List<String> LEAVES = List.of("time", "fault");

  /// Words of the block package.
  private static final String OF_DISKS = ".*([iI]mage|[eE]xtent).*";

  @ArchTest
  static final ArchRule engineUsesTheJdkOnly =
      classes()
          .that()
          .resideInAPackage("dev.prestage.engine..")
          .should()
          .onlyDependOnClassesThat(
              resideInAnyPackage("dev.prestage.engine..", "java..", "org.jspecify.annotations")
                  .or(primitives()));

  @ArchTest
  static final ArchRule engineTouchesNoHost =
      noClasses()
          .that()
          .resideInAPackage("dev.prestage.engine..")
          .should()
          .dependOnClassesThat(
              resideInAnyPackage(
                      "java.net..", "java.nio.file..", "java.nio.channels..", "java.lang.foreign..")
                  .or(
                      nameMatching(
                          "java\\.io\\.File.*|java\\.lang\\.(Process|ProcessBuilder|Runtime)")));

  @ArchTest
  static final ArchRule engineHasNoWallClock =
      noClasses()
          .that()
          .resideInAPackage("dev.prestage.engine..")
          .should()
          .callMethod(System.class, "nanoTime")
          .orShould()
          .callMethod(System.class, "currentTimeMillis")
          .orShould()
          .callMethod(java.time.Instant.class, "now")
          .orShould()
          .dependOnClassesThat()
          .areAssignableTo(java.time.Clock.class);

  @ArchTest
  static final ArchRule engineHasNoUnseededRandomness =
      noClasses()
          .that()
          .resideInAPackage("dev.prestage.engine..")
          .should()
          .callMethod(Math.class, "random")
          .orShould()
          .callConstructor(java.util.Random.class)
          .orShould()
          .callConstructor(java.util.SplittableRandom.class)
          .orShould()
          .dependOnClassesThat()
          .haveNameMatching(
              "java\\.util\\.concurrent\\.ThreadLocalRandom|java\\.security\\..*|java\\.util\\.UUID");

  @ArchTest
  static final ArchRule enginePackagesUseOnlyThoseToTheirLeft =
      classes()
          .that()
          .resideInAPackage("dev.prestage.engine..")
          .should(new UseOnlyTheirLeft(ENGINE, LEAVES));

  @ArchTest
  static final ArchRule noTypeBehindTheEdgesSpeaksOfDisks =
      noClasses()
          .that()
          .resideInAnyPackage("dev.prestage.engine..", "dev.prestage.link..")
          .should()
          .haveNameMatching(OF_DISKS);

  @ArchTest
  static final ArchRule noMethodBehindTheEdgesSpeaksOfDisks =
      noMethods()
          .that()
          .areDeclaredInClassesThat()
          .resideInAnyPackage("dev.prestage.engine..", "dev.prestage.link..")
          .should()
          .haveNameMatching(OF_DISKS);

  /// A type of resource is passed on and reported; nothing is decided by which one it is.
  @ArchTest
  static final ArchRule theEngineAsksForNoTypeOfResource =
      noClasses()
          .that()
          .resideInAPackage("dev.prestage.engine..")
          .and()
          .doNotBelongToAnyOf(ResourceType.class)
          .should()
          .accessFieldWhere(
              JavaFieldAccess.Predicates.target(
                  HasOwner.Predicates.With.owner(
                      JavaClass.Predicates.equivalentTo(ResourceType.class))));

  @ArchTest
  static final ArchRule modulesUseOnlyTheirOwn =
      classes()
          .that()
          .resideInAPackage("dev.prestage..")
          .should(
              new UseOnlyTheModules(
                  Map.of(
                      "engine", List.of(),
                      "link", List.of("engine"),
                      "dataplane", List.of("engine", "link"),
                      "control", List.of("engine", "link"),
                      "trainer", List.of("engine"),
                      "simulator", List.of("engine"),
                      "client", List.of(),
                      "benchmarks",
                          List.of("engine", "link", "dataplane", "control", "simulator", "client"),
                      "cli",
                          List.of(
                              "engine",
                              "link",
                              "dataplane",
                              "control",
                              "simulator",
                              "client",
                              "benchmarks"))));

  @ArchTest
  static final ArchRule nativeCallsAreInTwoPackages =
      noClasses()
          .that(
              resideInAPackage("dev.prestage..")
                  .and(not("dev.prestage.dataplane.linux"))
                  .and(not("dev.prestage.control.vm.libvirt")))
          .should()
          .dependOnClassesThat()
          .haveNameMatching("java\\.lang\\.foreign\\.(Linker|SymbolLookup|FunctionDescriptor).*");

  /// Where a hypervisor comes from is known to the wiring and to the commands that connect to one.
  @ArchTest
  static final ArchRule nothingKnowsLibvirtButTheCommandsAndTheWiring =
      onlyTheCommandsAndTheWiringKnow("dev.prestage.control.vm.libvirt");

  @ArchTest
  static final ArchRule nothingKnowsVsphereButTheCommandsAndTheWiring =
      onlyTheCommandsAndTheWiringKnow("dev.prestage.control.vm.vsphere");

  @ArchTest
  static final ArchRule nothingKnowsQemuButTheCommandsAndTheWiring =
      onlyTheCommandsAndTheWiringKnow("dev.prestage.control.vm.qmp");

  @ArchTest
  static final ArchRule nothingKnowsXenButTheCommandsAndTheWiring =
      onlyTheCommandsAndTheWiringKnow("dev.prestage.control.vm.xen");

  private static ArchRule onlyTheCommandsAndTheWiringKnow(String hypervisor) {
    return noClasses()
        .that(
            resideInAPackage("dev.prestage..").and(not(hypervisor)).and(not("dev.prestage.cli..")))
        .should()
        .dependOnClassesThat()
        .resideInAPackage(hypervisor);
  }

  @ArchTest
  static final ArchRule packagesHaveNoCycles =
      slices().matching("dev.prestage.(*).(*)..").should().beFreeOfCycles();

  private static DescribedPredicate<JavaClass> not(String packageName) {
    return DescribedPredicate.not(resideInAPackage(packageName));
  }

  private static DescribedPredicate<JavaClass> primitives() {
    return DescribedPredicate.describe(
        "primitives and their arrays", c -> c.getBaseComponentType().isPrimitive());
  }
}
