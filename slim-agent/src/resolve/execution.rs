//! Executions: the program, the scripts on the way to it, and what the kernel loads to run it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::binary::{self, Interpreter, MAX_INTERPRETERS};
use super::walk::Walked;
use super::{Object, Resolver};
use crate::decode::Record;
use crate::manifest::{PathBytes, Use};

/// How the kernel spells a program that was executed by its descriptor (fs/exec.c, alloc_bprm).
const BY_DESCRIPTOR: &[u8] = b"/dev/fd/";

impl Resolver {
    /// What an execution used.
    pub(super) fn execution(&self, record: &Record<'_>) -> Vec<Object> {
        let mut objects = self.program(record);
        let named =
            self.asked(record, record.name, true).filter(|walked| walked.exists).map(|walked| walked.end);
        let program = if is_script(record) { named } else { self.reached(record).or(named) };
        objects.extend(program.into_iter().flat_map(|program| self.interpreters(record, program)));
        objects
    }

    fn program(&self, record: &Record<'_>) -> Vec<Object> {
        let by_descriptor = record.name.starts_with(BY_DESCRIPTOR);
        // The file reached is the last interpreter; a script is known by its name only.
        let script = Record { reached: None, ..record.clone() };
        let interpreter = || self.named(record, record.interp, Use::Interpreter, true);
        match (is_script(record), by_descriptor) {
            (false, false) => self.named(record, record.name, Use::Exec, true),
            // Nobody asked for this name. A file in memory has no path at all.
            (false, true) => {
                self.reached(record).map(|path| self.path(path, Use::Exec)).into_iter().collect()
            }
            (true, false) => {
                let mut objects = self.named(&script, record.name, Use::Exec, true);
                objects.extend(interpreter());
                objects
            }
            (true, true) => interpreter(),
        }
    }

    /// What the kernel loads to run a program, as long as that can be read: `#!` lines one after the other, and the ELF
    /// interpreter.
    fn interpreters(&self, record: &Record<'_>, mut program: PathBytes) -> Vec<Object> {
        let mut objects = Vec::new();
        for _ in 0..MAX_INTERPRETERS {
            let Some(found) =
                self.root.as_ref().and_then(|root| root.file(&program)).and_then(interpreter_of)
            else {
                break;
            };
            let (name, is_last) = match found {
                Interpreter::Script(name) => (name, false),
                Interpreter::Elf(name) => (name, true),
            };
            let Some(walked) = self.asked(record, &name, true).filter(|walked| walked.exists) else { break };
            let Walked { hops, end, .. } = walked;
            objects.extend(hops.into_iter().map(|hop| self.path(hop, Use::Hop)));
            objects.push(self.path(end.clone(), Use::Interpreter));
            if is_last {
                break;
            }
            program = end;
        }
        objects
    }
}

fn is_script(record: &Record<'_>) -> bool {
    !record.interp.is_empty() && record.interp != record.name
}

fn interpreter_of(file: File) -> Option<Interpreter> {
    let read = |offset, length| {
        let mut bytes = vec![0; length];
        let read = file.read_at(&mut bytes, offset)?;
        bytes.truncate(read);
        Ok(bytes)
    };
    binary::interpreter(read).ok().flatten()
}
