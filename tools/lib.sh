# Shared by the scripts of this folder: where things are, what Debian packages
# they need, how to build, and how to tell people about it. To be sourced.
# shellcheck shell=bash
# Variables used by the scripts that source this:
# shellcheck disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build
STARTED=$SECONDS

# Debian 12 packages by purpose; `tools/packages list` prints them.
packages_build="meson ninja-build pkg-config gcc g++ libc6-dev
    liburing-dev libsodium-dev liburcu-dev libglib2.0-dev libldns-dev
    libmicrohttpd-dev libjansson-dev libtomlplusplus-dev libnl-route-3-dev
    libjemalloc-dev libcap-ng-dev libcurl4-gnutls-dev libcriterion-dev
    libavahi-core-dev libminiupnpc-dev libnatpmp-dev
    libgrpc-dev libprotobuf-c-dev protobuf-c-compiler liblmdb-dev libssl-dev libnghttp2-dev"
packages_machines="iproute2 iputils-ping iperf3 procps util-linux"
packages_test="$packages_machines python3 python3-pytest python3-pytest-rerunfailures python3-pytest-xdist
    clang clang-format libclang-rt-14-dev dbus-daemon nftables conntrack coturn miniupnpd-nftables
    dnsutils ethtool avahi-daemon openssl python3-grpcio python3-grpc-tools python3-nacl"
# For the image of the coord server, from nothing but Debian's archive.
packages_container="buildah debootstrap"
# The last lines: what Veld is measured beside.
packages_bench="$packages_machines python3 ethtool nftables conntrack coturn libnice-dev
    wireguard-go wireguard-tools nebula tinc fastd openvpn openssl"
case $(dpkg --print-architecture 2>/dev/null) in
    amd64) packages_build+=" libipsec-mb-dev android-libboringssl" ;;
esac

say() { printf '[%3ds] %s\n' $((SECONDS - STARTED)) "$*"; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}
is_root() { [ "$(id -u)" = 0 ]; }
need_root() { is_root || die "needs root, to make network namespaces: run  sudo $0"; }
cores() { nproc; }

# show_help: the comment at the top of the calling script.
show_help() {
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
    exit 0
}

# show_progress LOG: the log's last line, every second, while this script lives.
show_progress() {
    while sleep 1 && kill -0 $$ 2>/dev/null; do
        printf '\r\033[K  %.76s' "$(tail -n 1 "$1" 2>/dev/null)" >&2
    done
}

# run_logged LOG COMMAND...: quiet, but for progress on a terminal; on failure the
# end of the log is shown.
run_logged() {
    local log=$1 rc=0 progress=
    shift
    if [ -t 2 ]; then
        show_progress "$log" &
        progress=$!
    fi
    "$@" >"$log" 2>&1 </dev/null || rc=$?
    if [ -n "$progress" ]; then
        kill "$progress" 2>/dev/null || true
        wait "$progress" 2>/dev/null || true
        printf '\r\033[K' >&2
    fi
    if [ $rc != 0 ]; then
        tail -n 40 "$log" >&2
        printf 'failed (%d): %s\nthe whole log: %s\n' $rc "$*" "$log" >&2
    fi
    return $rc
}

check_sets() {
    local set name
    for set; do
        name=packages_$set
        [ -n "${!name:-}" ] || die "no such package set: $set (build, test, bench, container, machines)"
    done
}

# packages_of SET...: names, one a line, each once.
packages_of() {
    local set name
    for set; do
        name=packages_$set
        tr -s ' \n' '\n' <<<"${!name}"
    done | sed '/^$/d' | sort -u
}

# packages_missing SET...: those not installed.
packages_missing() {
    comm -23 <(packages_of "$@") \
        <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u)
}

apt_lists_stale() {
    local lists=/var/lib/apt/lists
    [ -z "$(find $lists -maxdepth 1 -name '*_Packages*' -mtime -7 -print -quit 2>/dev/null)" ]
}

# Programs are wanted, not their services, which would listen to everybody: none is started
# now (policy-rc.d), nor at the next boot.
apt_quietly() {
    local policy=/usr/sbin/policy-rc.d ours= rc=0
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && ours=1
    fi
    run_logged "$1" env DEBIAN_FRONTEND=noninteractive \
        apt-get -y -o DPkg::Lock::Timeout=300 "${@:2}" || rc=$?
    [ -z "$ours" ] || rm -f $policy
    if [[ " ${*:2} " == *" coturn "* ]]; then
        systemctl disable coturn >/dev/null 2>&1 || true
    fi
    if [[ " ${*:2} " == *" avahi-daemon "* ]]; then
        systemctl disable avahi-daemon.service avahi-daemon.socket >/dev/null 2>&1 || true
    fi
    return $rc
}

# install_packages SET...: installs what is missing, without recommends.
install_packages() {
    local missing log
    command -v dpkg-query >/dev/null || {
        say "not a Debian system: taking the needed packages for granted (tools/packages list)"
        return 0
    }
    mapfile -t missing < <(packages_missing "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    is_root || die "these packages are missing: ${missing[*]}
install them with:  sudo $ROOT/tools/packages install $*"
    say "installing ${#missing[@]} packages"
    log=$(mktemp /tmp/veld-apt.XXXXXX)
    if apt_lists_stale; then
        apt_quietly "$log" update || die "apt-get update failed"
        apt_quietly "$log" install --no-install-recommends "${missing[@]}" ||
            die "installing packages failed"
    elif ! apt_quietly "$log" install --no-install-recommends "${missing[@]}" 2>/dev/null; then
        # The lists may name versions that are gone from the archive.
        apt_quietly "$log" update || die "apt-get update failed"
        apt_quietly "$log" install --no-install-recommends "${missing[@]}" ||
            die "installing packages failed"
    fi
    rm -f "$log"
}

# build_in DIR MESON_ARGUMENT... [-- TARGET...]: configure when needed, and build.
build_in() {
    local dir=$1 log=$1/build.log targets=() arguments=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        arguments+=("$1")
        shift
    done
    targets=("${@:2}")
    set -- "${arguments[@]}"
    mkdir -p "$dir" 2>/dev/null || true
    [ -w "$dir" ] ||
        die "cannot write to $dir (built by root before?): remove it, or  sudo chown -R \$USER $dir"
    if [ ! -f "$dir/build.ninja" ]; then
        run_logged "$log" meson setup "$dir" "$ROOT" "$@" || return 1
    elif [ $# -gt 0 ]; then
        run_logged "$log" meson configure "$dir" "$@" || return 1
    fi
    run_logged "$log" ninja -C "$dir" -j "$(cores)" "${targets[@]}"
}

# Under sudo, leave what was built to the person who asked for it.
give_back() {
    [ -n "${SUDO_UID:-}" ] && is_root || return 0
    chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$@" 2>/dev/null || true
}
