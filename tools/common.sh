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

# The jars of the command, as a class path.
class_path() {
  printf '%s' "$home/cli/target/classes"
  printf ':%s' "$home"/cli/target/lib/*.jar
}

# Builds when something is newer than the last build, or nothing was built yet. One build at a time.
build_if_needed() {
  local stamp="$home/cli/target/built"
  mkdir -p "$home/cli/target"
  exec 9>"$home/cli/target/building"
  command -v flock >/dev/null && flock 9
  if [ ! -e "$stamp" ] || [ -n "$(find "$home" -path '*/target' -prune -o \
    \( -path '*/src/main/*' -o -name pom.xml \) -type f -newer "$stamp" -print -quit)" ]; then
    say "building (the first time takes a minute or two) ..."
    local log="$home/cli/target/build.log"
    # Tests and style are ./check's business; this is for whoever wants to run it.
    if ! maven -q -Dmaven.test.skip=true -Dspotless.check.skip=true package >"$log" 2>&1 9>&-; then
      grep -m 5 ERROR "$log" >&2 || tail -n 5 "$log" >&2
      fail "the build failed; all of it is in $log"
    fi
    touch "$stamp"
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
