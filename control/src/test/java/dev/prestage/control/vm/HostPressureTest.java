package dev.prestage.control.vm;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class HostPressureTest {
  @TempDir Path proc;

  private final HostPressure pressure() {
    return new HostPressure(proc);
  }

  private void waiting(String percent) throws IOException {
    Files.createDirectories(proc.resolve("pressure"));
    Files.writeString(
        proc.resolve("pressure/memory"),
        "some avg10="
            + percent
            + " avg60=0.00 avg300=0.00 total=1\n"
            + "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
  }

  private void available(long kib) throws IOException {
    Files.writeString(
        proc.resolve("meminfo"),
        "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable: " + kib + " kB\n");
  }

  @Test
  void pressureEndsWellBelowWhereItBegan() throws IOException {
    HostPressure pressure = pressure();
    waiting("9.99");
    assertThat(pressure.isPressed()).isFalse();
    waiting("10.00");
    assertThat(pressure.isPressed()).isTrue();
    waiting("1.01");
    assertThat(pressure.isPressed()).isTrue();
    waiting("1.00");
    assertThat(pressure.isPressed()).isFalse();
    waiting("9.99");
    assertThat(pressure.isPressed()).isFalse();
  }

  @Test
  void aKernelThatDoesNotTellIsJudgedByWhatIsAvailable() throws IOException {
    HostPressure pressure = pressure();
    available(50);
    assertThat(pressure.isPressed()).isFalse();
    available(49);
    assertThat(pressure.isPressed()).isTrue();
    available(99);
    assertThat(pressure.isPressed()).isTrue();
    available(100);
    assertThat(pressure.isPressed()).isFalse();
  }

  @Test
  void whatCannotBeReadIsPressure() throws IOException {
    assertThat(pressure().isPressed()).isTrue();
    Files.writeString(proc.resolve("meminfo"), "nonsense");
    assertThat(pressure().isPressed()).isTrue();
  }
}
