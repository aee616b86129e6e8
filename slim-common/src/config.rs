//! Constants of the running kernel, written into the programs' read-only data at load.
//!
//! Rust emits no CO-RE relocations, so the agent reads the members' offsets from the kernel's BTF. The verifier
//! knows read-only data as constants: an offset from here is as good as a literal (5.10 and later).

/// What the object calls where the agent puts `bpf_rdonly_cast`: a number that no helper of the kernel has.
pub const CAST: usize = 0x51_1ca5;

/// Byte offsets of struct members, and a few values. Names are `struct_member`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub struct Config {
    /// Seed of the name hash: a container cannot aim at collisions.
    pub hash_seed: u64,
    /// Inode number of the host's root directory.
    pub host_root_ino: u64,
    /// Device (major << 20 | minor) of the host's root filesystem.
    pub host_root_dev: u32,
    /// 1: what is wanted are lookups that found nothing and listings, and nothing else (`watch`).
    pub misses: u32,
    /// 1: current task as a BTF pointer and direct loads (5.11); 0: probe reads.
    pub direct: u32,
    /// thread_info member and bits that mark a 32-bit system call.
    pub compat_offset: u32,
    pub compat_mask: u32,
    /// System call number bit that marks x32; 0 where there is none.
    pub x32_bit: u32,
    /// BTF types for `bpf_rdonly_cast`: of `struct file`, of a structure that begins with a number of eight bytes, and of
    /// `struct socket`. 0: the kernel does not have it.
    pub type_file: u32,
    pub type_word: u32,
    pub type_socket: u32,

    pub regs_nr: u32,
    pub regs_arg: [u32; 6],
    pub regs_compat_arg: [u32; 6],

    pub task_fs: u32,
    pub task_files: u32,
    pub task_mm: u32,
    pub task_tgid: u32,
    pub task_signal: u32,
    pub task_seccomp_mode: u32,
    pub task_cgroups: u32,
    pub task_real_parent: u32,
    pub task_real_cred: u32,
    pub task_thread_pid: u32,
    pub cred_effective: u32,
    pub cred_bounding: u32,
    pub pid_level: u32,
    pub pid_numbers: u32,
    pub upid_size: u32,
    pub signal_live: u32,
    pub css_set_dfl_cgrp: u32,
    pub mm_exe_file: u32,
    pub mm_arg_start: u32,
    pub mm_arg_end: u32,

    pub cgroup_kn: u32,
    pub cgroup_root: u32,
    pub cgroup_self: u32,
    pub cgroup_self_parent: u32,
    pub cgroup_root_hierarchy_id: u32,
    pub kernfs_node_id: u32,
    pub kernfs_node_name: u32,

    pub fs_root: u32,
    pub fs_pwd: u32,
    pub path_mnt: u32,
    pub path_dentry: u32,
    pub files_fdt: u32,
    pub fdtable_fd: u32,
    pub fdtable_max_fds: u32,
    pub file_path: u32,
    pub file_inode: u32,
    pub file_flags: u32,
    pub filename_name: u32,
    pub task_flags: u32,
    pub task_stack: u32,
    /// Where the registers of a system call stand from the start of the task's stack, for kernels without the helper.
    pub stack_regs: u32,
    /// 1: `bpf_task_pt_regs` (5.15).
    pub regs_helper: u32,
    pub dentry_parent: u32,
    pub dentry_name: u32,
    pub dentry_hash: u32,
    pub dentry_inode: u32,
    pub dentry_sb: u32,
    pub inode_ino: u32,
    pub inode_sb: u32,
    pub inode_mode: u32,
    pub sb_dev: u32,
    pub vfsmount_root: u32,
    pub vfsmount_sb: u32,
    pub mount_mnt: u32,
    pub mount_parent: u32,
    pub mount_mountpoint: u32,

    pub file_private_data: u32,
    pub socket_sk: u32,
    pub sock_family: u32,
    pub sock_port: u32,
    pub sock_address: u32,
    pub sock_address6: u32,
    pub sock_type: u32,
    pub sock_protocol: u32,

    pub msghdr_name: u32,
    pub msghdr_namelen: u32,

    pub bprm_file: u32,
    pub bprm_filename: u32,
    pub bprm_interp: u32,
}
