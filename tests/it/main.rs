//! Tests on real containers and the running kernel. They need root, a Docker engine and the images of
//! `cargo xtask images`; `cargo xtask test` sees to all of it.

mod accuracy;
mod api;
mod attach;
mod attribution;
mod bad_input;
mod capabilities;
mod cgroup;
mod coverage;
mod crowd;
mod deployment;
mod fidelity;
mod formats;
mod harden;
mod hostile;
mod images;
mod interruption;
mod load;
mod loss;
mod main_job;
mod oddities;
mod phases;
mod pinned;
mod policy;
mod runtimes;
mod seccomp;
mod share;
mod show;
mod slim;
mod suites;
mod survival;
mod uses;
mod watch;
