//! Rules that follow what files name: libraries, interpreters, sources.

use anyhow::Result;

use super::{Work, reason};
use crate::manifest::PathBytes;
use crate::plan::keeper::Fresh;
use crate::plan::reason::Reason;
use crate::resolve::binary;

/// As much of a file as holds its `#!` line.
const SCRIPT_HEAD: usize = 256;

pub(super) fn libraries(work: &mut Work<'_, '_>, file: &Fresh) -> Result<()> {
    let Some(linking) = work.libraries.linking(work.keeper, &file.entry)? else { return Ok(()) };
    let path = &file.entry.path;
    if let Some(loader) = &linking.interpreter {
        let loader = PathBytes::new(&loader[..]);
        work.keeper.keep_if_there(&loader, &Reason::ElfInterpreter(path.clone()))?;
        // What the loader itself reads to find libraries.
        let musl = loader.file_name().strip_suffix(b".so.1").filter(|name| name.starts_with(b"ld-musl-"));
        let config = match musl {
            Some(name) => PathBytes::from("/etc").join(&[name, b".path"].concat()),
            None => "/etc/ld.so.cache".into(),
        };
        work.keeper.keep_if_there(&config, &reason("libraries", path))?;
    }
    for (library, of) in work.libraries.closure(work.keeper, file, &linking)? {
        work.keeper.keep_if_there(&library, &reason("libraries", &of))?;
    }
    Ok(())
}

pub(super) fn scripts(work: &mut Work<'_, '_>, file: &Fresh) -> Result<()> {
    if file.entry.mode & 0o111 == 0 {
        return Ok(());
    }
    let words = binary::script_words(&work.keeper.source().read_at(&file.entry, 0, SCRIPT_HEAD)?);
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let reason = Reason::ScriptInterpreter(file.entry.path.clone());
    let program = PathBytes::new(&program[..]);
    work.keeper.keep_if_there(&program, &reason)?;
    if program.file_name() != b"env" {
        return Ok(());
    }
    let is_name = |word: &&Vec<u8>| !word.starts_with(b"-") && !word.contains(&b'=');
    let Some(name) = arguments.iter().find(is_name) else { return Ok(()) };
    for dir in &work.config.search {
        let program = PathBytes::from(dir.as_str()).join(name);
        if work.keeper.keep_if_there(&program, &reason)?.entry().is_some() {
            break;
        }
    }
    Ok(())
}

/// Python takes a cached `.pyc` only when its source is there, and a source without its cache is compiled at each start.
pub(super) fn python(work: &mut Work<'_, '_>, file: &Fresh) -> Result<()> {
    let (path, reason) = (&file.entry.path, reason("python", &file.entry.path));
    let Some(dir) = path.parent() else { return Ok(()) };
    if let Some(source) = source_of(&dir, path.file_name()) {
        work.keeper.keep_if_there(&source, &reason)?;
    }
    let Some(stem) = path.file_name().strip_suffix(b".py") else { return Ok(()) };
    let cache = dir.join(b"__pycache__");
    for name in work.keeper.list(&cache)? {
        if name.strip_prefix(stem).is_some_and(is_cache_tag) {
            work.keeper.keep_if_there(&cache.join(&name), &reason)?;
        }
    }
    Ok(())
}

/// The source of a compiled module `name` in `dir`.
fn source_of(dir: &PathBytes, name: &[u8]) -> Option<PathBytes> {
    let stem = name.strip_suffix(b".pyc")?;
    if dir.file_name() != b"__pycache__" {
        return Some(dir.join(&[stem, b".py"].concat()));
    }
    let cut = stem.iter().position(|&byte| byte == b'.')?;
    Some(dir.parent()?.join(&[&stem[..cut], b".py"].concat()))
}

/// Whether this is `.INTERPRETER.pyc`, and not of an optimisation level, which only exists to be asked for.
fn is_cache_tag(rest: &[u8]) -> bool {
    let tag = rest.strip_prefix(b".").and_then(|rest| rest.strip_suffix(b".pyc"));
    tag.is_some_and(|tag| !tag.is_empty() && !tag.contains(&b'.'))
}
