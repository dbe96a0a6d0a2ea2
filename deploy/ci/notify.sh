#!/bin/sh
# Tells Tagboat that a CI run has pushed an image. Needs curl, openssl and od.
#
#   TAGBOAT_CI_SECRET=... notify.sh --url https://tagboat.example.com \
#     --image registry.example.com/acme/payments --tag 1.7.0 [--digest sha256:...] \
#     [--repository acme/payments] [--revision COMMIT] [--run-url URL] \
#     [--actor LOGIN] [--actor-id NUMBER]
#
# The actor is the GitHub account that caused the run: whoever had an image built does
# not count as its approver.
#
# The secret is the server's TAGBOAT_CI_WEBHOOK_SECRET. It comes from
# TAGBOAT_CI_SECRET, or from the file that TAGBOAT_CI_SECRET_FILE names.
#
# Exit: 0 accepted (also when Tagboat knew it already), 1 not accepted, 2 called
# wrongly. To call it again with the same arguments does no harm.
set -eu
export LC_ALL=C # a character is a byte

wrong() {
	printf 'notify.sh: %s\n' "$1" >&2
	exit 2
}

url='' image='' tag='' digest='' repository='' revision='' run_url='' actor='' actor_id=''
while [ $# -gt 0 ]; do
	[ $# -ge 2 ] || wrong "$1 needs a value"
	case $1 in
	--url) url=${2%/} ;;
	--image) image=$2 ;;
	--tag) tag=$2 ;;
	--digest) digest=$2 ;;
	--repository) repository=$2 ;;
	--revision) revision=$2 ;;
	--run-url) run_url=$2 ;;
	--actor) actor=$2 ;;
	--actor-id) actor_id=$2 ;;
	*) wrong "unknown argument $1" ;;
	esac
	shift 2
done
[ -n "$url" ] || wrong "--url is missing: where Tagboat is, such as https://tagboat.example.com"
[ -n "$image" ] || wrong "--image is missing: the image's name without tag"
[ -n "$tag" ] || wrong "--tag is missing: the tag that was pushed"
for tool in curl openssl od; do
	command -v "$tool" >/dev/null || wrong "$tool is not installed"
done

secret=${TAGBOAT_CI_SECRET:-}
if [ -z "$secret" ] && [ -n "${TAGBOAT_CI_SECRET_FILE:-}" ]; then
	secret=$(cat "$TAGBOAT_CI_SECRET_FILE") || wrong "the file that TAGBOAT_CI_SECRET_FILE names cannot be read"
fi
[ -n "$secret" ] || wrong "TAGBOAT_CI_SECRET is missing (for GitHub Actions: is the secret visible to this repository?)"

# Nothing that is sent here has a quote, a backslash or a control character in
# it, so nothing needs to be escaped.
for value in "$image" "$tag" "$digest" "$repository" "$revision" "$run_url" "$actor"; do
	case $value in
	*[\"\\[:cntrl:]]*) wrong "a value has a quote, a backslash or a line break in it: $value" ;;
	esac
done
case $actor_id in
*[!0-9]*) wrong "--actor-id is the account's number, not $actor_id" ;;
esac
body=$(printf '{"image":"%s","tag":"%s","digest":"%s","source":{"repository":"%s","revision":"%s"},"run":{"url":"%s"},"actor":{"login":"%s","id":%s}}' \
	"$image" "$tag" "$digest" "$repository" "$revision" "$run_url" "$actor" "${actor_id:-0}")

# HMAC-SHA256 (RFC 2104) of standard input, in hex. openssl can do it, but takes
# the key as an argument only, which other users of the machine can see. printf
# is the shell's own, so that nobody sees its arguments.
hex() { od -An -v -tx1 | tr -d ' \n'; }
sha256() { openssl dgst -sha256 -binary; }
bytes() { # of the hex digits $1, each xor $2
	rest=$1
	while [ -n "$rest" ]; do
		tail=${rest#??}
		# shellcheck disable=SC2059 # the format is the byte
		printf "\\$(printf '%03o' "$((0x${rest%"$tail"} ^ $2))")"
		rest=$tail
	done
}
hmac() {
	key=$(printf '%s' "$secret" | hex)
	[ ${#key} -le 128 ] || key=$(printf '%s' "$secret" | sha256 | hex)
	while [ ${#key} -lt 128 ]; do key=${key}00; done
	inner=$({ bytes "$key" 0x36; cat; } | sha256 | hex)
	{ bytes "$key" 0x5c; bytes "$inner" 0; } | sha256 | hex
}

timestamp=$(date +%s)
signature=$(printf '%s.%s' "$timestamp" "$body" | hmac)

# The signature is good for five minutes, so the retries end before.
answer=$(printf '%s' "$body" | curl --silent --show-error --max-time 30 --retry 5 --retry-connrefused --retry-max-time 120 \
	--header 'Content-Type: application/json' \
	--header "X-Tagboat-Timestamp: $timestamp" --header "X-Tagboat-Signature: sha256=$signature" \
	--data-binary @- --write-out '\n%{http_code}' "$url/hooks/ci") || {
	printf 'notify.sh: Tagboat cannot be reached at %s\n' "$url" >&2
	exit 1
}
status=${answer##*
}
said=${answer%?"$status"}
if [ "$status" != 202 ]; then
	printf 'notify.sh: Tagboat did not accept %s:%s (status %s): %s\n' "$image" "$tag" "$status" "$said" >&2
	exit 1
fi
printf 'Tagboat was told of %s:%s: %s\n' "$image" "$tag" "$said"
