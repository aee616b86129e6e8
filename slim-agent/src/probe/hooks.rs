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

/// Capabilities: not for files, so that a kernel without it (before 6.14) serves as well.
pub const CAPABILITIES: Hook =
    Hook { program: "cap_capable", tracepoint: "cap_capable", purpose: "capabilities that are needed" };

/// What serves for [`CAPABILITIES`] on kernels without that tracepoint, if they take such programs.
pub const CAPABILITIES_FUNCTION: (&str, Second) =
    ("cap_capable_function", Second { function: "cap_capable", kind: Kind::Exit });

/// A program that does nothing, for measuring what any program on the busiest hook costs.
pub const EMPTY: &[Hook] = &[Hook { program: "empty_exit", tracepoint: "sys_exit", purpose: "measuring" }];

/// When a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// At a raw tracepoint.
    Tracepoint,
    /// When the function is entered.
    Entry,
    /// When it returns.
    Exit,
}

impl Kind {
    /// As the manifest spells the tier.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tracepoint => "tp_btf",
            Self::Entry => "fentry",
            Self::Exit => "fexit",
        }
    }
}

/// A function of the kernel that has a program of its own name.
pub struct Second {
    /// The function, and the program.
    pub function: &'static str,
    /// When the program runs.
    pub kind: Kind,
}

/// The second tier, beside the base: what it adds is whatever passes no system call.
pub const SECOND: &[Second] = &[
    Second { function: "vfs_open", kind: Kind::Entry },
    Second { function: "security_inode_follow_link", kind: Kind::Entry },
    Second { function: "filename_lookup", kind: Kind::Exit },
    Second { function: "iterate_dir", kind: Kind::Exit },
    Second { function: "security_path_unlink", kind: Kind::Entry },
    Second { function: "security_path_rmdir", kind: Kind::Entry },
    Second { function: "security_path_mkdir", kind: Kind::Entry },
    Second { function: "security_path_symlink", kind: Kind::Entry },
    Second { function: "security_path_link", kind: Kind::Entry },
    Second { function: "security_path_rename", kind: Kind::Entry },
    Second { function: "__sys_connect_file", kind: Kind::Exit },
    Second { function: "security_socket_sendmsg", kind: Kind::Entry },
];

/// What a program is attached to, whichever table it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Name of the program in the object.
    pub program: &'static str,
    /// The tracepoint or function.
    pub hook: &'static str,
    /// When it runs.
    pub kind: Kind,
}

impl From<&Hook> for Row {
    fn from(hook: &Hook) -> Self {
        Self { program: hook.program, hook: hook.tracepoint, kind: Kind::Tracepoint }
    }
}

impl From<&Second> for Row {
    fn from(hook: &Second) -> Self {
        Self { program: hook.function, hook: hook.function, kind: hook.kind }
    }
}

/// The row of [`CAPABILITIES_FUNCTION`].
pub fn capabilities_function() -> Row {
    let (program, hook) = &CAPABILITIES_FUNCTION;
    Row { program, ..hook.into() }
}

/// The row of a program that records.
pub fn row(program: &str) -> Option<Row> {
    let base = BASE.iter().chain([&CAPABILITIES]).map(Row::from);
    let rows = base.chain(SECOND.iter().map(Row::from)).chain([capabilities_function()]);
    rows.into_iter().find(|row| row.program == program)
}
