//! How the daemon deals with memory that it needed once: it gives it back. The C library would rather keep it: for each
//! thread that ever wrote a checkpoint, and as much as reading the kernel's types took.

#[cfg(target_env = "gnu")]
use nix::libc;

/// Has the C library keep little. To be called before there is a second thread.
pub fn keep_little() {
    #[cfg(target_env = "gnu")]
    {
        // Larger pieces are mapped by themselves, and are gone when they are free. What is free at the end of the heap
        // stays as long as it is no more than this, too. Saying so also keeps the C library from raising both to what
        // was used once.
        const PIECE: libc::c_int = 128 << 10;
        // Parts of the heap, which threads share: few of them run at once.
        const ARENAS: libc::c_int = 2;
        let settings =
            [(libc::M_ARENA_MAX, ARENAS), (libc::M_MMAP_THRESHOLD, PIECE), (libc::M_TRIM_THRESHOLD, PIECE)];
        for (what, value) in settings {
            // SAFETY: it changes a setting of the C library, under a lock of its own.
            unsafe { libc::mallopt(what, value) };
        }
    }
}

/// Gives pages back to the kernel on which nothing is left. Takes about a millisecond.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it frees what nobody uses, under the C library's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
