# shellcheck shell=sh disable=SC2034
# Sourced by the other scripts.
build_packages="build-essential cmake ninja-build pkg-config uthash-dev libpng-dev"
test_packages="$build_packages libgtest-dev strace"
# Launchers: without them what runs under them is skipped.
launcher_packages="openmpi-bin libopenmpi-dev mpich libmpich-dev"
hosts_packages="iproute2 slurm-wlm munge"

# missing_packages NAME...: those that are not there, into $missing.
missing_packages() {
    missing=
    command -v dpkg-query >/dev/null || return 0 # not Debian: CMake says what it misses
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
            missing="$missing $package"
    done
}

install_missing() {
    echo "Installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # one word for each package
    apt-get update -qq && apt-get install -qq --yes --no-install-recommends $missing
}

# want_packages NAME...: installs what is missing, as root; otherwise says what would be skipped.
want_packages() {
    missing_packages "$@"
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! install_missing; then
        echo "Not installed, so that some tests are skipped:$missing" >&2
    fi
}

# need_packages NAME...: installs the Debian packages that are missing, as root; otherwise prints
# the one line to run and stops.
need_packages() {
    missing_packages "$@"
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "Packages are missing. Please run this line, then $0 again:" >&2
        echo "    sudo apt-get update && sudo apt-get install --yes$missing" >&2
        exit 1
    fi
    install_missing || {
        echo "Could not install$missing" >&2
        exit 1
    }
}

# configure PRESET [OPTION]...: by Ninja where it is; a build directory that exists keeps what it
# was made with.
configure() {
    if command -v ninja >/dev/null; then
        CMAKE_GENERATOR=Ninja cmake --preset "$@"
    else
        cmake --preset "$@"
    fi
}
