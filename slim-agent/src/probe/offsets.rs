//! The constants that the kernel programs need from the running kernel.

use anyhow::{Context, Result};
use slim_common::config::Config;

use super::btf::Btf;
use super::cast::Cast;

/// What besides the types decides how the programs run.
pub struct Host {
    /// Device (major << 20 | minor) of the host's root filesystem.
    pub root_device: u32,
    /// Inode number of the host's root directory.
    pub root_inode: u64,
    /// Seed of the name hash.
    pub hash_seed: u64,
    /// Whether lookups that found nothing, and listings, are what is wanted.
    pub misses: bool,
    /// Whether the kernel has `bpf_get_current_task_btf` (5.11).
    pub direct: bool,
    /// Whether the kernel has `bpf_task_pt_regs` (5.15).
    pub regs_helper: bool,
}

/// Reads every offset from the kernel's BTF.
///
/// # Errors
/// A structure is not as any known kernel has it; the message names the member.
pub fn config(btf: &Btf, host: &Host, cast: Option<Cast>) -> Result<Config> {
    let at = |structure: &str, member: &str| btf.offset(structure, member);
    let any = |structure: &str, members: &[&str]| btf.offset_of_any(structure, members);
    let arch = Arch::read(btf)?;
    Ok(Config {
        hash_seed: host.hash_seed,
        host_root_ino: host.root_inode,
        host_root_dev: host.root_device,
        misses: host.misses.into(),
        direct: host.direct.into(),
        compat_offset: arch.compat_offset,
        compat_mask: arch.compat_mask,
        x32_bit: arch.x32_bit,
        type_file: cast.map_or(0, |cast| cast.file),
        type_word: cast.map_or(0, |cast| cast.word),
        type_socket: cast.map_or(0, |cast| cast.socket),
        regs_nr: arch.nr,
        regs_arg: arch.args,
        regs_compat_arg: arch.compat_args,
        task_fs: at("task_struct", "fs")?,
        task_files: at("task_struct", "files")?,
        task_mm: at("task_struct", "mm")?,
        task_tgid: at("task_struct", "tgid")?,
        task_signal: at("task_struct", "signal")?,
        task_seccomp_mode: at("task_struct", "seccomp.mode")?,
        task_cgroups: at("task_struct", "cgroups")?,
        task_real_parent: at("task_struct", "real_parent")?,
        task_real_cred: at("task_struct", "real_cred")?,
        task_thread_pid: at("task_struct", "thread_pid")?,
        cred_effective: at("cred", "cap_effective")?,
        cred_bounding: at("cred", "cap_bset")?,
        pid_level: at("pid", "level")?,
        pid_numbers: at("pid", "numbers")?,
        // An int and a pointer (include/linux/pid.h).
        upid_size: 16,
        signal_live: at("signal_struct", "live")?,
        css_set_dfl_cgrp: at("css_set", "dfl_cgrp")?,
        mm_exe_file: at("mm_struct", "exe_file")?,
        mm_arg_start: at("mm_struct", "arg_start")?,
        mm_arg_end: at("mm_struct", "arg_end")?,
        cgroup_kn: at("cgroup", "kn")?,
        cgroup_root: at("cgroup", "root")?,
        cgroup_self: at("cgroup", "self")?,
        cgroup_self_parent: at("cgroup_subsys_state", "parent")?,
        cgroup_root_hierarchy_id: at("cgroup_root", "hierarchy_id")?,
        kernfs_node_id: at("kernfs_node", "id")?,
        kernfs_node_name: at("kernfs_node", "name")?,
        fs_root: at("fs_struct", "root")?,
        fs_pwd: at("fs_struct", "pwd")?,
        path_mnt: at("path", "mnt")?,
        path_dentry: at("path", "dentry")?,
        files_fdt: at("files_struct", "fdt")?,
        fdtable_fd: at("fdtable", "fd")?,
        fdtable_max_fds: at("fdtable", "max_fds")?,
        file_path: any("file", &["f_path", "__f_path"])?,
        file_inode: at("file", "f_inode")?,
        file_flags: at("file", "f_flags")?,
        filename_name: at("filename", "name")?,
        task_flags: at("task_struct", "flags")?,
        task_stack: at("task_struct", "stack")?,
        stack_regs: arch.stack_regs,
        regs_helper: host.regs_helper.into(),
        dentry_parent: at("dentry", "d_parent")?,
        dentry_name: any("dentry", &["d_name.name", "__d_name.name"])?,
        dentry_hash: any("dentry", &["d_name.hash", "__d_name.hash"])?,
        dentry_inode: at("dentry", "d_inode")?,
        dentry_sb: at("dentry", "d_sb")?,
        inode_ino: at("inode", "i_ino")?,
        inode_sb: at("inode", "i_sb")?,
        inode_mode: at("inode", "i_mode")?,
        sb_dev: at("super_block", "s_dev")?,
        vfsmount_root: at("vfsmount", "mnt_root")?,
        vfsmount_sb: at("vfsmount", "mnt_sb")?,
        mount_mnt: at("mount", "mnt")?,
        mount_parent: at("mount", "mnt_parent")?,
        mount_mountpoint: at("mount", "mnt_mountpoint")?,
        file_private_data: at("file", "private_data")?,
        socket_sk: at("socket", "sk")?,
        sock_family: at("sock", "__sk_common.skc_family")?,
        sock_port: at("sock", "__sk_common.skc_num")?,
        sock_address: at("sock", "__sk_common.skc_rcv_saddr")?,
        // A kernel without IPv6 has no socket with such an address.
        sock_address6: at("sock", "__sk_common.skc_v6_rcv_saddr").unwrap_or(0),
        sock_type: at("sock", "sk_type")?,
        sock_protocol: at("sock", "sk_protocol")?,
        msghdr_name: at("msghdr", "msg_name")?,
        msghdr_namelen: at("msghdr", "msg_namelen")?,
        bprm_file: at("linux_binprm", "file")?,
        bprm_filename: at("linux_binprm", "filename")?,
        bprm_interp: at("linux_binprm", "interp")?,
    })
}

/// What the processor decides: where system calls keep number and arguments, and how a 32-bit call shows.
struct Arch {
    nr: u32,
    args: [u32; 6],
    compat_args: [u32; 6],
    compat_offset: u32,
    compat_mask: u32,
    x32_bit: u32,
    stack_regs: u32,
}

impl Arch {
    #[cfg(target_arch = "x86_64")]
    fn read(btf: &Btf) -> Result<Self> {
        /// The call came through a 32-bit entry (arch/x86/include/asm/thread_info.h).
        const TS_COMPAT: u32 = 0x2;
        /// __X32_SYSCALL_BIT (arch/x86/include/uapi/asm/unistd.h).
        const X32_BIT: u32 = 0x4000_0000;
        /// Size of struct pt_regs before FRED (arch/x86/include/asm/ptrace.h).
        const REGS: u32 = 168;
        let regs = |names: [&str; 6]| members(btf, "pt_regs", names);
        Ok(Self {
            nr: btf.offset("pt_regs", "orig_ax")?,
            args: regs(["di", "si", "dx", "r10", "r8", "r9"])?,
            compat_args: regs(["bx", "cx", "dx", "si", "di", "bp"])?,
            compat_offset: btf.offset("task_struct", "thread_info.status")?,
            compat_mask: TS_COMPAT,
            x32_bit: X32_BIT,
            // THREAD_SIZE (arch/x86/include/asm/page_64_types.h) less the registers at its end.
            stack_regs: (16 << 10) - REGS,
        })
    }

    #[cfg(target_arch = "aarch64")]
    fn read(btf: &Btf) -> Result<Self> {
        /// The task runs a 32-bit program (arch/arm64/include/asm/thread_info.h).
        const TIF_32BIT: u32 = 1 << 22;
        // The result overwrites x0; `orig_x0` keeps the first argument.
        let first = btf.offset("pt_regs", "orig_x0")?;
        let regs = btf.offset("pt_regs", "regs")?;
        let args = [first, regs + 8, regs + 16, regs + 24, regs + 32, regs + 40];
        Ok(Self {
            nr: btf.offset("pt_regs", "syscallno")?,
            args,
            compat_args: args,
            compat_offset: btf.offset("task_struct", "thread_info.flags")?,
            compat_mask: TIF_32BIT,
            x32_bit: 0,
            // Kernels with BTF on this processor have the helper.
            stack_regs: 0,
        })
    }
}

#[cfg(target_arch = "x86_64")]
fn members<const N: usize>(btf: &Btf, structure: &str, names: [&str; N]) -> Result<[u32; N]> {
    let found: Result<Vec<u32>> = names.iter().map(|name| btf.offset(structure, name)).collect();
    found?.try_into().ok().context("as many offsets as names")
}
