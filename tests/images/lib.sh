# What the suites of all images share. Each case prints a line, `ok NAME` or `not ok NAME: WHY`; a suite goes on after a
# case that fails, and ends with 1 when any did.

: "${SLIM_CONTAINER_IP:?is not set: it must be the address of the container to check}"

failed=0
# A directory for files; it is removed at the end.
scratch=$(mktemp -d)
trap 'ended=$?; rm -rf "$scratch"; [ "$ended" != 0 ] || exit "$failed"' EXIT

ok() {
    echo "ok $1"
}

# not_ok NAME WHY
not_ok() {
    failed=1
    echo "not ok $1: $(echo "$2" | tr '\n' ' ' | cut -c 1-240)"
}

# equal NAME EXPECTED FOUND
equal() {
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "expected '$2', found '$3'"; fi
}

# contains NAME EXPECTED FOUND
contains() {
    case $3 in
        *"$2"*) ok "$1" ;;
        *) not_ok "$1" "'$2' is not in '$3'" ;;
    esac
}

# wait_until COMMAND...: up to 15 seconds; the suite ends where that is in vain
wait_until() {
    tries=150
    until said=$("$@" 2>&1); do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then
            not_ok "waiting" "15 s in vain for $*: $said"
            exit 1
        fi
        sleep 0.1
    done
}

# http OPTIONS... URL: the answer to a request, on standard output
http() {
    curl --silent --show-error --max-time 5 "$@"
}

# serves URL
serves() {
    http --fail "$1"
}

# status OPTIONS... URL: the status of the answer
status() {
    http --output /dev/null --write-out '%{http_code}' "$@"
}
