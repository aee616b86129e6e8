//! What `--help` says below the options of each command: how it works, and examples.

pub(super) const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 this host cannot do it (see `slim-agent doctor`),
4 the recording is not complete, 5 something is missing in the slim image (`watch`), 6 a slim image
does not do what its original does (`slim`), or an application is not known well enough (`coverage`,
`status --ready`), 7 no daemon is running, or it cannot do it now.

Logs go to standard error; RUST_LOG sets their level by module, NO_COLOR turns colours off.";

pub(super) const SLIM: &str = "\
A container of IMAGE is made as `docker create` makes it, and recorded from its first instruction. It is
asked over HTTP, commands run in it (--exec), a load test runs beside it (COMMAND), it is stopped, and
what it used becomes the slim image and its seccomp profile. Then the slim image is started under that
profile and asked the same. Status, type and body of each page must be the same, exit code and output of
each command, and the load test must succeed again. Where a body or an output differs, the original is
started and asked once more: what varies in itself is compared in its status or exit code only.

Only then the image gets the name that was asked for. One that is different is left as NAME:TAG-unverified.

Nothing waits for a fixed time: the first page is asked for until the port answers, a command is tried
until it succeeds, for 10 seconds at the most, and COMMAND is started once an exposed port listens.
With nothing to do, the container is recorded until it exits. The containers are removed, whatever
happens; they are named slim-agent-*.

Exit codes: 6 the slim image does not do what the original does; all others as everywhere.

Examples:
  slim-agent slim nginx --tag nginx:slim
  slim-agent slim my/api --tag my/api:slim --http-probe /health --http-probe /v1/items -e MODE=test
  slim-agent slim redis --tag redis:slim --exec 'redis-cli SET a 1' --exec 'redis-cli GET a'
  slim-agent slim my/api --tag my/api:slim -- ./load-test.sh";

pub(super) const RECORD: &str = "\
A created or exited container is started, and recorded from its first instruction. A running one is
recorded from now on; with --restart it is restarted first.

COMMAND finds SLIM_CONTAINER_ID, SLIM_CONTAINER_NAME and SLIM_CONTAINER_IP in its environment.

While it runs, a checkpoint stands beside the output: FILE.partial, a manifest that says that it is
not complete. Should the agent be killed it stays, and merge takes it; the next recording with the
same output renames it to FILE.partial.1, .2... With -o - there is none.

Examples:
  docker create --name web nginx
  slim-agent record web -- ./load-test.sh
  slim-agent record web --for 2days -o web-node7.manifest.json
  slim-agent record --cgroup /sys/fs/cgroup/system.slice/my.service --for 10m";

pub(super) const WATCH: &str = "\
Tells each path that is looked up in vain and that the original image has, and each system call that
the container's seccomp profile refuses and the engine's default would not: at once, on standard
output, a line each. What the original does not have either is not told. The manifest holds the same;
export again from it and the recording together, and the next image and profile have it.

A directory that is listed and lacks entries is told as well, and counts for nothing else: what an
application does not find in a listing it does not ask for. Python finds its modules that way, so
that where modules are lacking the watch is not complete. Not seen: lookups through io_uring, and
calls that a profile kills for instead of refusing. When something is missing a program may not get to what it
would ask for next: watch the healed image again, until the exit code is 0.

Exit codes: 0 nothing is missing, 5 something is, also when the watch itself was not complete; else
as for record: 1 COMMAND or the container failed, 4 the watch was not complete.

Examples:
  docker create --name canary web:slim
  slim-agent watch canary --against web.manifest.json -- ./load-test.sh
  slim-agent watch canary --against web:full --for 2days --format json | logger -t slim-watch
  slim-agent export image web.manifest.json canary.watch.manifest.json --tag web:slim";

pub(super) const MERGE: &str = "\
Examples:
  slim-agent merge web-*.manifest.json -o web.manifest.json
  ssh node7 cat web.manifest.json | slim-agent merge web.manifest.json - > all.manifest.json";

pub(super) const PUSH: &str = "\
Each push adds an artifact and changes none, so any number of nodes can push at once, and pushing the
same again does nothing. `pull` unites them. They are found by the image's id, wherever the node had the
image from; where REPO has the image itself, they are attached to it, and other tools list them, too.
With --prune, what is there and tells nothing more than what is pushed is deleted, where the registry
allows that. Credentials are those of `docker login`.

Examples:
  slim-agent push web.manifest.json registry.example/team/web
  slim-agent push web.manifest.json registry.example/team/web:1.25
  slim-agent push web.manifest.json registry.example/recordings
  slim-agent pull registry.example/team/web:1.25 | slim-agent push - registry.example/team/web --prune";

pub(super) const PULL: &str = "\
The image is the one that --merge, --image, or a tag or digest names; without any of these, the only one
of which there are recordings. FILE is written whole or not at all. What cannot be used (changed, cut off,
of a newer version) is left out and named.

JSON: {\"repository\", \"image\", \"subject\", \"artifacts\", \"refused\", \"union\": {\"recordings\", \"nodes\",
\"paths\", \"sockets\", \"syscalls\"}, \"new\": {...}, \"output\"}

Exit codes: 4 also when something was left out; the union of the rest is written.

Examples:
  slim-agent pull registry.example/team/web:1.25 -o web.manifest.json
  slim-agent pull registry.example/team/web --merge web.manifest.json
  slim-agent pull registry.example/recordings --image web:1.25 -o web.manifest.json
  slim-agent pull registry.example/team/web:1.25 | slim-agent coverage -";

pub(super) const SHOW: &str = "\
The table has a row for each thing that is counted: in the original, in the image that `export image` would
make with the same options and slim.toml, and how many were executed. What is not known is a dash: without
the image, which the engine must have, it is most of it. Packages whole are those of which every file is
left. Executables are files with an execute bit, neither empty nor libraries; one with several names is one.
Each figure can be looked into with the option that the last line names.

Of the original nothing is executed, and of its files only small ones are read, and only if they may be
private keys by name, place or mode. No value of a secret is shown.

JSON: {\"schema\": \"slim-agent/show/1\", \"view\", ..., \"notes\"}; the fields of a view keep their names.

Exit codes: 1 also when nothing is known of the path that --why names.

Examples:
  slim-agent show web.manifest.json
  slim-agent show web.manifest.json --surface
  slim-agent show web.manifest.json --why /usr/bin/perl
  slim-agent show web.manifest.json --format markdown >> pull-request.md
  slim-agent show web.manifest.json --format json | jq '.figures[] | select(.name == \"setuid-files\").slim'
  slim-agent show web.manifest.json --connects --no-image";

pub(super) const COVERAGE: &str = "\
Every recording that saw the start-up is a sample. What only one of them saw tells how much none saw
yet: the estimate (Chao2, with its 95 % interval) of paths and system calls that are unseen, and the
chance that one more recording shows something new (Good-Turing). The same over nodes, and over the hours
of recordings by the daemon. It holds for recordings of the same kind of load, each independent of the
others. What no load asks for, no statistic knows. Time counts while there was a recording.

Exit codes: 6 not ready by one of the rules that were given; all others as everywhere.

Examples:
  slim-agent coverage web-*.manifest.json
  slim-agent coverage web.manifest.json --min-recordings 5 --quiet-recordings 3 --max-unseen 3
  slim-agent coverage web.manifest.json --quiet-for 48h --min-nodes 2 --min-hours 24
  slim-agent coverage web.manifest.json --format json | jq .paths.estimate";

pub(super) const EXPORT: &str = "\
Several manifests are united first. One that is not complete is refused without --allow-incomplete.

Examples:
  slim-agent export image web.manifest.json --tag web:slim
  slim-agent export seccomp web.manifest.json -o web.seccomp.json";

pub(super) const EXPORT_IMAGE: &str = "\
Content comes from the original image, never from the container that was recorded. The explanation
says for each kept path why. Where decisions meet: what is excluded is left out, whoever needs it;
what is included is kept; all else is decided by the recordings, and by rules that keep what goes
with what they saw. A file slim.toml in the current directory holds the same options:
  include = [\"/etc/app/**\"]
  include-package = [\"dpkg:tzdata\"]
  without = [\"certificates\"]

Examples:
  slim-agent export image web.manifest.json --tag web:slim
  slim-agent export image web.manifest.json --tag web:slim --include '/usr/share/web/**' --with shell
  slim-agent export image day.manifest.json night.manifest.json --tag registry.example:5000/web:slim
  slim-agent export image web.manifest.json --tag web:slim --format json | jq .image
  slim-agent export image web.manifest.json --archive - | ssh node7 docker load
  slim-agent export image web.manifest.json --oci web-slim --push registry.example:5000/web:slim
  slim-agent export image web.manifest.json --push registry.example/web:slim --layers keep
  slim-agent export image web.manifest.json --tag web:slim --base gcr.io/distroless/base-debian12";

pub(super) const EXPORT_DOCKERFILE: &str = "\
The directory is a build context: a Dockerfile that copies files out of the original, and a small
archive with what COPY cannot copy (directories, links, devices). Any builder makes the image of it,
as long as it can get the original. Its cache may bring older file times: use --no-cache.

Examples:
  slim-agent export dockerfile web.manifest.json -o web-slim
  docker build --no-cache --tag web:slim web-slim
  docker build --no-cache --build-arg ORIGINAL=registry.example/web@sha256:... -t web:slim web-slim";

pub(super) const EXPORT_SECCOMP: &str = "\
Allowed are the calls that were observed, those that the container runtime makes after it installed
the profile, and those that a recording cannot see; --explain says which is which. All others answer
ENOSYS, or EPERM where the engine's default profile denies them.

Examples:
  slim-agent export seccomp web.manifest.json -o web.seccomp.json --explain web.why.json
  docker run --security-opt seccomp=web.seccomp.json web:slim";

pub(super) const EXPORT_HARDENING: &str = "\
What is denied: writing to the image, all capabilities but those that were needed, gaining privileges, and
with the seccomp profile all system calls but those that are needed. The output says of each part what it
is for, and of what cannot be denied, why not.

Examples:
  slim-agent export seccomp web.manifest.json -o web.seccomp.json
  slim-agent export docker-run web.manifest.json --tag web:slim --name web -o web.sh
  sh web.sh --detach --publish 80:80";

pub(super) const EXPORT_ALL: &str = "\
The README says what each file is, how it is used, and what cannot be denied.

Examples:
  slim-agent export all web.manifest.json --tag web:slim --output web-hardened";

pub(super) const DOCTOR: &str = "\
Exits with 0 when this host can record, and with 3 when it cannot.

Examples:
  slim-agent doctor
  slim-agent doctor --format json | jq .recording";

pub(super) const COMPLETIONS: &str = "\
Examples:
  slim-agent completions bash > /etc/bash_completion.d/slim-agent
  slim-agent completions zsh > ~/.zfunc/_slim-agent";

/// After the help of `daemon`.
pub const DAEMON: &str = "\
Examples:
  slim-agent daemon --check                   # is /etc/slim-agent/config.toml right?
  slim-agent daemon                           # record what it asks for, or what has the label slim.record=true
  kill -HUP PID                               # read the configuration again

Every container is seen from its first instruction; those that nobody asks for are dropped at once. When the daemon
ends, or is killed, the kernel programs go on recording, and the next daemon takes over: nothing is missing in
between. `slim-agent uninstall` ends them.";

/// After the help of `uninstall`.
pub const UNINSTALL: &str = "\
Examples:
  systemctl disable --now slim-agent && slim-agent uninstall           # recordings stay
  systemctl disable --now slim-agent && slim-agent uninstall --purge   # nothing stays";
pub(super) const STATUS: &str = "\
A profile is all recordings of one image under one name. It is ready when the rules hold that `ready_when`
in /etc/slim-agent/config.toml has for it; one without rules is not known to be ready.

Exit codes: 0 also when the daemon is not well, which the answer says; 6 not ready (--ready); 7 no daemon is
running.

Examples:
  slim-agent status
  slim-agent status web --ready && ./cut-over.sh
  slim-agent status web --format json | jq .coverage
  curl --unix-socket /run/slim-agent/control.sock http://localhost/v1/profiles/web";

pub(super) const LIST: &str = "\
Examples:
  slim-agent list
  slim-agent list --format json | jq -r .profiles[].name";

pub(super) const START: &str = "\
One that runs is recorded from now on: of its start-up only what is still open or mapped is known. Any
other is recorded from its first instruction, once it is started.

Examples:
  slim-agent start web-1
  slim-agent start web-1 --profile web";

pub(super) const STOP: &str = "\
What was recorded stays. The rules are as they were: a new container that they ask for is recorded.

Examples:
  slim-agent stop web-1
  slim-agent stop web";

pub(super) const SNAPSHOT: &str = "\
Nothing is stopped: the recordings go on, and a later snapshot has all of this and more.

Examples:
  slim-agent snapshot web -o web.manifest.json
  slim-agent snapshot web | slim-agent export seccomp - -o web.seccomp.json";

pub(super) const FORGET: &str = "\
What the daemon has stored of the profile is removed. It must not be recorded meanwhile: stop it first.

Examples:
  slim-agent snapshot web -o web.manifest.json && slim-agent forget web --yes
  slim-agent forget web@0123456789ab";
