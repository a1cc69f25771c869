# What ./prestage and ./check share: finding a JDK, building, installing what is missing. Sourced, not run.
# Needs: home (the project's folder).

least_jdk=25

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() { say "$*"; exit 1; }

# The feature release of a JDK folder that can compile, or nothing.
jdk_release() {
  [ -x "$1/bin/java" ] && [ -x "$1/bin/javac" ] && [ -r "$1/release" ] || return 0
  sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release"
}

# Sets JAVA_HOME to the first JDK that is new enough: JAVA_HOME, PATH, then where systems keep them.
find_jdk() {
  local candidate release seen=""
  local on_path
  on_path=$(command -v javac || true)
  [ -n "$on_path" ] && on_path=$(dirname "$(dirname "$(readlink -f "$on_path")")")
  for candidate in "${JAVA_HOME:-}" "$on_path" /usr/lib/jvm/* /usr/java/* /opt/java/* /opt/jdk* \
    "$HOME"/.sdkman/candidates/java/* "$HOME"/.jdks/*; do
    [ -n "$candidate" ] && [ -d "$candidate" ] || continue
    release=$(jdk_release "$candidate")
    [ -n "$release" ] || continue
    if [ "$release" -ge "$least_jdk" ]; then
      JAVA_HOME=$candidate
      export JAVA_HOME
      return 0
    fi
    seen="$seen $candidate ($release)"
  done
  fail "no JDK $least_jdk or newer found in JAVA_HOME, on PATH or under /usr/lib/jvm${seen:+; found:$seen}." \
    "Install one (Debian and Ubuntu: a package such as openjdk-$least_jdk-jdk or temurin-$least_jdk-jdk) or set JAVA_HOME."
}

# Runs Maven on the JDK found.
maven() {
  command -v mvn >/dev/null || fail "Maven (mvn) is not on PATH; install the package maven."
  MAVEN_OPTS="${MAVEN_OPTS:-} --sun-misc-unsafe-memory-access=allow --enable-native-access=ALL-UNNAMED" \
    mvn --batch-mode --no-transfer-progress --file "$home/pom.xml" "$@"
}

# The jars of the command, as a class path. Jars only: the JDK's cache keeps no class that comes from a folder.
class_path() {
  printf '%s' "$home/cli/target/prestage.jar"
  printf ':%s' "$home"/cli/target/lib/*.jar
}

# The ahead-of-time cache that the build made, and the JDK that made it.
cache="$home/cli/target/start-up.aot"
cache_jdk="$home/cli/target/start-up.jdk"

# Whether the cache belongs to this JDK and to the jars that are there.
cache_fits() {
  [ -s "$cache" ] && cmp -s "$cache_jdk" "$JAVA_HOME/release" \
    && [ -z "$(find "$home/cli/target/prestage.jar" "$home/cli/target/lib" -newer "$cache_jdk" -print -quit)" ]
}

# The JVM would say on standard output, between a command's own lines, that a cache does not fit.
quiet_cache=("-Xlog:aot*=off" "-Xlog:cds*=off")

# The JVM of the command with its flags, as the array java; a main class and its arguments follow. What runs for seconds
# is compiled quickly; what computes for minutes (the command's first word says it) is compiled well.
java_command() {
  local compiler=(-XX:TieredStopAtLevel=1)
  case "${1:-}" in simulate | bench) compiler=(-XX:+TieredCompilation) ;; esac
  java=("$JAVA_HOME/bin/java" -XX:+UseSerialGC "${compiler[@]}" "${quiet_cache[@]}"
    --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow
    -Dprestage.home="$home" -cp "$(class_path)")
}

# When ./prestage was last built.
built="$home/cli/target/built"

# Builds what ./prestage runs when something is newer than the last build. One build at a time.
build() {
  mkdir -p "$home/cli/target"
  exec 9>"$home/cli/target/building"
  command -v flock >/dev/null && flock 9
  if [ ! -e "$built" ] || [ -n "$(find "$home" -path '*/target' -prune -o \
    \( -path '*/src/main/*' -o -name pom.xml \) -type f -newer "$built" -print -quit)" ]; then
    say "building (the first time takes a minute or two) ..."
    local log="$home/cli/target/build.log"
    # Tests and style are ./check's business; this is for whoever wants to run it.
    if ! maven -Dmaven.test.skip=true -Dspotless.check.skip=true -pl cli -am package >"$log" 2>&1 9>&-; then
      grep -m 5 -E '^\[(ERROR|WARNING)\] .*\.java' "$log" >&2 || grep -m 5 ERROR "$log" >&2 || tail -n 5 "$log" >&2
      fail "the build failed; all of it is in $log"
    fi
    touch "$built"
  fi
  exec 9>&-
}

# Debian packages of which a tool is not there, from lines of "tool package".
missing_packages() {
  local tool package
  while read -r tool package; do
    command -v "$tool" >/dev/null || [ -e "$tool" ] || printf '%s\n' "$package"
  done | sort -u
}

# Installs what is missing when that can be done here; otherwise says how.
install_missing() {
  local packages
  packages=$(missing_packages | tr '\n' ' ')
  packages=${packages% }
  [ -z "$packages" ] && return 0
  local command="apt-get install -y --no-install-recommends $packages"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing $packages ..."
    if apt-get -o DPkg::Lock::Timeout=300 update -qq >/dev/null 2>&1 \
      && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq \
        --no-install-recommends $packages >/dev/null 2>&1; then
      return 0
    fi
    say "could not install them; try: $command"
  else
    say "some tests need packages that are not installed, and are skipped; to run them too: sudo $command"
  fi
  return 0
}

# Prints at the end, however it comes, what was tested from now on. $1: the build's folder below each module.
summary_at_end() {
  started=$(mktemp)
  # shellcheck disable=SC2064
  trap "summary $1; rm -f $started" EXIT
}

# What was tested since then, by module: seconds in tests, tests run, tests skipped and why.
# $1: the build's folder below each module.
summary() {
  local module reports
  printf '\n%-12s %8s %6s %8s\n' module seconds tests skipped
  for module in $(sed -n 's:.*<module>\(.*\)</module>.*:\1:p' "$home/pom.xml"); do
    reports=$(find "$home/$module/$1/surefire-reports" -name 'TEST-*.xml' -newer "$started" 2>/dev/null || true)
    if [ -z "$reports" ]; then
      printf '%-12s %8s %6s\n' "$module" - "none"
      continue
    fi
    # shellcheck disable=SC2086
    awk -v module="$module" '
      function value(name) { return match($0, " " name "=\"[^\"]*\"") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 4) : "" }
      /<testsuite / { seconds += value("time"); tests += value("tests"); skipped += value("skipped") }
      /<testcase / { test = value("classname") "." value("name") }
      /<skipped/ { reason[++reasons] = test ": " value("message") }
      END {
        printf "%-12s %8.1f %6d %8d\n", module, seconds, tests, skipped
        for (i = 1; i <= reasons; i++) print "             skipped " reason[i]
      }' $reports
  done
  echo
}
