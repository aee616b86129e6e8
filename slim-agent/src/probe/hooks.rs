//! The attach table: one row per kernel hook.

/// What attaches where.
pub struct Hook {
    /// Name of the program in the object.
    pub program: &'static str,
    /// Raw tracepoint it attaches to.
    pub tracepoint: &'static str,
    /// What is lost without it.
    pub purpose: &'static str,
}

/// The base tier. It is complete by itself, and every row of it is needed.
pub const BASE: &[Hook] = &[
    Hook {
        program: "sched_process_exit",
        tracepoint: "sched_process_exit",
        purpose: "telling who did something",
    },
    Hook {
        program: "sched_process_fork",
        tracepoint: "sched_process_fork",
        purpose: "telling who did something",
    },
    Hook {
        program: "cgroup_attach_task",
        tracepoint: "cgroup_attach_task",
        purpose: "telling who did something",
    },
    Hook {
        program: "cgroup_mkdir",
        tracepoint: "cgroup_mkdir",
        purpose: "containers from their first instruction",
    },
    Hook { program: "cgroup_rmdir", tracepoint: "cgroup_rmdir", purpose: "room for new cgroups" },
    Hook { program: "sched_process_exec", tracepoint: "sched_process_exec", purpose: "programs executed" },
    Hook { program: "sys_exit", tracepoint: "sys_exit", purpose: "files, sockets and system calls" },
];

/// A program that does nothing, for measuring what any program on the busiest hook costs.
pub const EMPTY: &[Hook] = &[Hook { program: "empty_exit", tracepoint: "sys_exit", purpose: "measuring" }];
