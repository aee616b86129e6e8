# What the checks of all images share. A check ends at the first difference, with a sentence and exit code 1.

: "${SLIM_CONTAINER_IP:?is not set: it must be the address of the container to check}"

fail() {
    echo "check: $*" >&2
    exit 1
}

# equal WHAT EXPECTED FOUND
equal() {
    [ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"
}

# contains WHAT EXPECTED FOUND
contains() {
    case $3 in
        *"$2"*) ;;
        *) fail "$1: '$2' is not in '$3'" ;;
    esac
}

# wait_until COMMAND...: up to 15 seconds
wait_until() {
    tries=150
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "still fails after 15 s: $*"
        sleep 0.1
    done
}

# http OPTIONS... PATH: a request to $base, its answer on standard output
http() {
    curl --silent --show-error --max-time 10 "$@"
}
