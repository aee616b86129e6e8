//! One kernel subject per file.

mod call;
mod cgroup;
mod empty;
mod exec;
mod file;
mod process;
mod syscall;
