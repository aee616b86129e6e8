//! One kernel subject per file.

mod call;
mod cgroup;
mod empty;
mod exec;
mod process;
mod syscall;
