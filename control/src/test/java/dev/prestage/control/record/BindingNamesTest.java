package dev.prestage.control.record;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.prestage.engine.access.AccessType;
import dev.prestage.engine.access.Cause;
import dev.prestage.engine.resource.ResourceType;
import org.junit.jupiter.api.Test;

final class BindingNamesTest {
  @Test
  void namesAreReadAsTheyWereWritten() {
    var names =
        new BindingNames("default", "web", "vm1", ResourceType.MEMORY_PAGE, "registry/web:1%2F");
    assertThat(names.text()).isEqualTo("default/web/vm1/memory-page/registry%2Fweb:1%252F");
    assertThat(BindingNames.of(names.text())).isEqualTo(names);
    for (String odd : new String[] {"", "/", "%", "%25", "%2F", "%252F", "a/b//", "\n\u4e16' $1"}) {
      var all = new BindingNames(odd, odd, odd, ResourceType.IO_BANDWIDTH, odd);
      assertThat(BindingNames.of(all.text())).isEqualTo(all);
    }
  }

  @Test
  void aTextThatNamesNoBindingIsRefused() {
    for (String text : new String[] {"", "a/b/c/d", "a/b/c/floppy/e", "a/b/c/file-block/d/e"}) {
      assertThatThrownBy(() -> BindingNames.of(text))
          .as(text)
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void codesInRowsKeepTheirMeaning() {
    assertThat(AccessCodes.of(AccessType.READ)).isEqualTo((byte) 0);
    assertThat(AccessCodes.of(AccessType.RELEASE)).isEqualTo((byte) 3);
    assertThat(AccessCodes.of(AccessType.UNKNOWN)).isEqualTo((byte) 4);
    assertThat(AccessCodes.of(Cause.DEMAND)).isEqualTo((byte) 0);
    assertThat(AccessCodes.of(Cause.MAINTENANCE)).isEqualTo((byte) 3);
    for (AccessType type : AccessType.values()) {
      assertThat(AccessCodes.type(AccessCodes.of(type))).isEqualTo(type);
    }
    for (Cause cause : Cause.values()) {
      assertThat(AccessCodes.cause(AccessCodes.of(cause))).isEqualTo(cause);
    }
  }
}
