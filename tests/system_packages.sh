#!/bin/sh
# The tests drive real programs: the stock adb and gphoto2 clients, mksh (the shell of Android phones), a browser, and a
# PostgreSQL server of their own.
set -eu

missing=
for command in adb gphoto2 mksh chromium; do # the packages are called what the commands are called
    command -v "$command" >/dev/null || missing="$missing $command"
done
# Debian keeps the server's programs off the PATH
[ -n "$(command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || missing="$missing postgresql"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "tests that need these programs will be skipped:$missing" >&2
    echo "  on Debian or Ubuntu: sudo apt-get install$missing" >&2
fi
