//! One kernel subject per file.

mod call;
mod capability;
mod cgroup;
mod empty;
mod entry;
mod exec;
mod file;
mod process;
mod socket;
mod syscall;
