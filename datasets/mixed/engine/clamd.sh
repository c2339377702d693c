#!/bin/sh
# Starts clamd in the foreground, with nothing but the signatures beside this script; Ctrl-C ends it.
# Usage: clamd.sh [FOLDER]    FOLDER is for its socket and what it unpacks; engine.toml expects /tmp/sim-clamd.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=${1:-/tmp/sim-clamd}
PATH=$PATH:/usr/sbin:/usr/local/sbin

fail() { echo "error: $*" >&2; exit 2; }
command -v clamd >/dev/null || fail "clamd is not installed; on Debian: apt-get install clamav-daemon"
case $folder in /*) ;; *) fail "$folder must be an absolute path" ;; esac
case $here$folder in *[\|\&\\]*) fail "a path with |, & or a backslash cannot be used here" ;; esac

# The name may be known to others on this machine: a folder that is not ours alone will not do.
mkdir -m 700 -- "$folder" 2>/dev/null || true
[ -d "$folder" ] && [ ! -L "$folder" ] && [ -O "$folder" ] || fail "$folder is not a folder of yours; name another"
chmod 700 -- "$folder"

sed -e "s|@DATABASE@|$here/clamav|" -e "s|@FOLDER@|$folder|" "$here/clamd.conf.in" >"$folder/clamd.conf"
exec clamd --config-file="$folder/clamd.conf"
