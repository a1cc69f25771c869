package dev.prestage.control.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.engine.access.Access;
import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.predict.Forecaster;
import dev.prestage.engine.predict.HostKnowledge;
import dev.prestage.engine.predict.HybridForecaster;
import dev.prestage.engine.predict.ModelException;
import dev.prestage.engine.predict.ModelFile;
import dev.prestage.engine.resource.Program;
import dev.prestage.engine.resource.Resource;
import dev.prestage.engine.resource.ResourceType;
import dev.prestage.engine.resource.Spaces;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelBundleTest {
  private static final class Numbers implements Spaces {
    private final List<Name> names = new ArrayList<>();

    @Override
    public int number(Name name) {
      if (!names.contains(name)) {
        names.add(name);
      }
      return names.indexOf(name);
    }

    @Override
    public Name name(int number) {
      return names.get(number);
    }
  }

  private final Numbers host = new Numbers();

  private ModelFile model(String program, ResourceType type, String space, int resources) {
    int number = host.number(new Spaces.Name("blue", type, space));
    HybridForecaster forecaster = new HybridForecaster();
    Forecaster.Cursor cursor = forecaster.start(1, 1_000);
    for (int i = 0; i < resources; i++) {
      cursor.observe(
          new Access(
              0, 1, Resource.of(number, i), 1_000 + i, AccessType.READ, 1, Cause.DEMAND, false, 1));
    }
    cursor.stop(2_000);
    return new ModelFile("blue", program, forecaster);
  }

  private byte[] both() {
    TreeMap<ResourceType, ModelFile> models = new TreeMap<>();
    models.put(
        ResourceType.NETWORK_CONNECTION,
        model("web", ResourceType.NETWORK_CONNECTION, "db:5432", 3));
    models.put(ResourceType.FILE_BLOCK, model("web", ResourceType.FILE_BLOCK, "image", 7));
    return new ModelBundle(models).encode(host);
  }

  private static ModelBundle decode(byte[] bytes, Spaces spaces) throws ModelException {
    return ModelBundle.decode(ByteBuffer.wrap(bytes), spaces, (_, _) -> new HostKnowledge());
  }

  @Test
  void modelsOfAllTypesTravelAndFindTheirSpaces() throws ModelException {
    byte[] bytes = both();
    Numbers other = new Numbers();
    ModelBundle bundle = decode(bytes, other);
    assertThat(bundle.tenant()).isEqualTo("blue");
    assertThat(bundle.program()).isEqualTo("web");
    assertThat(bundle.runs()).isEqualTo(1);
    assertThat(bundle.resources()).isEqualTo(10);
    assertThat(bundle.models())
        .containsOnlyKeys(ResourceType.FILE_BLOCK, ResourceType.NETWORK_CONNECTION);
    assertThat(other.names)
        .containsExactlyInAnyOrder(
            new Spaces.Name("blue", ResourceType.FILE_BLOCK, "image"),
            new Spaces.Name("blue", ResourceType.NETWORK_CONNECTION, "db:5432"));
    assertThat(bundle.encode(other)).hasSameSizeAs(bytes);
  }

  @Test
  void whatWasLearntOfDisksOnlyIsAModelFileAsBefore() throws ModelException {
    ModelFile blocks = model("web", ResourceType.FILE_BLOCK, "image", 7);
    TreeMap<ResourceType, ModelFile> models = new TreeMap<>();
    models.put(ResourceType.FILE_BLOCK, blocks);
    byte[] bytes = new ModelBundle(models).encode(host);
    assertThat(bytes).isEqualTo(blocks.encode(host));
    assertThat(decode(bytes, host).models()).containsOnlyKeys(ResourceType.FILE_BLOCK);
  }

  @Test
  void aBundleThatIsCutOrTooLongOrDamagedIsRefused() {
    byte[] bytes = both();
    for (int length = 0; length < bytes.length; length++) {
      byte[] cut = Arrays.copyOf(bytes, length);
      assertThatThrownBy(() -> decode(cut, new Numbers())).isInstanceOf(ModelException.class);
    }
    assertThatThrownBy(() -> decode(Arrays.copyOf(bytes, bytes.length + 1), new Numbers()))
        .hasMessageContaining("1 bytes left over");
    byte[] newer = bytes.clone();
    newer[11] = 9;
    assertThatThrownBy(() -> decode(newer, new Numbers())).hasMessageContaining("version 9");
    byte[] strange = bytes.clone();
    strange[17] = 'x';
    assertThatThrownBy(() -> decode(strange, new Numbers()))
        .hasMessageContaining("it has a model of an unknown resource type 'xile-block'");
  }

  @Test
  void modelsOfSeveralProgramsAreNoBundle() {
    TreeMap<ResourceType, ModelFile> models = new TreeMap<>();
    models.put(ResourceType.FILE_BLOCK, model("web", ResourceType.FILE_BLOCK, "image", 7));
    models.put(
        ResourceType.NETWORK_CONNECTION, model("db", ResourceType.NETWORK_CONNECTION, "x:1", 1));
    byte[] bytes = new ModelBundle(models).encode(host);
    assertThatThrownBy(() -> decode(bytes, host)).hasMessageContaining("several programs");
  }

  @Test
  void aModelThatSpeaksOfSpacesOfAnotherTypeIsRefused() {
    for (ResourceType type : List.of(ResourceType.FILE_BLOCK, ResourceType.NETWORK_CONNECTION)) {
      TreeMap<ResourceType, ModelFile> models = new TreeMap<>();
      models.put(type, model("web", ResourceType.MEMORY_PAGE, "snapshot", 3));
      byte[] bytes = new ModelBundle(models).encode(host);
      Numbers other = new Numbers();
      assertThatThrownBy(() -> decode(bytes, other))
          .isInstanceOf(ModelException.class)
          .hasMessageContaining("its model of type " + type.text() + " speaks of a memory-page");
      assertThat(other.names).isEmpty();
    }
  }

  @Test
  void anExportBeginsNothingAndARefusedImportLeavesNothing(@TempDir Path folder)
      throws ModelException {
    Program web = new Program(1, "blue", "web");
    byte[] bytes = both();
    try (ModelStore store = new ModelStore(folder, host, learner -> learner, (_, _) -> {})) {
      assertThatThrownBy(() -> store.export(web)).hasMessageContaining("no run of web");
      assertThat(store.view(_ -> null).models()).isEmpty();
      assertThatThrownBy(() ->
              store.decode(ByteBuffer.wrap(Arrays.copyOf(bytes, bytes.length + 1)), new Numbers()))
          .isInstanceOf(ModelException.class);
      ModelStore.Offer offer = store.decode(ByteBuffer.wrap(bytes), host);
      assertThat(store.commonKnowledge()).isZero();
      store.replace(web, offer);
      assertThat(store.commonKnowledge()).isEqualTo(2);
      assertThat(store.export(web)).hasSameSizeAs(bytes);
      assertThat(store.view(_ -> null).models()).hasSize(2);
    }
    try (ModelStore again = new ModelStore(folder, host, learner -> learner, (_, _) -> {})) {
      assertThat(again.export(web)).as("what has a file").hasSameSizeAs(bytes);
    }
  }
}
