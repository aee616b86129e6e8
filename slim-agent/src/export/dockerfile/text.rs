//! The text of the Dockerfile.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::config::Lines;
use super::words;
use crate::manifest::{ImageRef, PathBytes};

/// Most `COPY` instructions of one stage: engines stack no more than about 125 layers.
const STAGE: usize = 100;

/// The Dockerfile: stages that collect files directory by directory, and one that puts them together.
pub(super) fn dockerfile(
    original: &ImageRef,
    copied: &BTreeMap<PathBytes, Vec<PathBytes>>,
    config: &Lines,
) -> String {
    let mut text = head(original);
    let directories: Vec<_> = copied.iter().collect();
    let stages = directories.chunks(STAGE);
    let count = stages.len();
    for (number, stage) in stages.enumerate() {
        text.push_str(&format!("\nFROM scratch AS files{number}\n"));
        for (dir, files) in stage {
            copy(&mut text, dir, files);
        }
    }
    text.push_str("\nFROM scratch\n");
    for number in 0..count {
        text.push_str(&format!("COPY --from=files{number} / /\n"));
    }
    text.push_str("ADD skeleton.tar /\n");
    for line in &config.lines {
        text.push_str(line);
        text.push('\n');
    }
    for note in &config.notes {
        text.push_str(&format!("# {}\n", note.escape_debug()));
    }
    text
}

fn head(original: &ImageRef) -> String {
    let known = original.repo_digests.first().or(original.names.first()).unwrap_or(&original.id);
    let id = &original.id;
    format!(
        "# What an application needs of its image, written by slim-agent; files.json lists it, plan.json says why.\n\
         #\n\
         # Regular files come from the original, everything else from skeleton.tar: directories, symbolic and hard\n\
         # links, devices, and files that COPY would change or cannot name. Kept are contents, modes, owners and times.\n\
         # Other names of a file with hard links are in a layer of their own, which has the file once more.\n\
         #\n\
         # Made from {id}.\n\
         # Another build of the original may have other files: record it anew then. Build with --no-cache: a builder's\n\
         # cache knows files by content alone, and may bring older times.\n\
         ARG ORIGINAL={known}\n\
         FROM ${{ORIGINAL}} AS full\n"
    )
}

/// One instruction for all files of a directory, each on a line of its own.
fn copy(text: &mut String, dir: &PathBytes, files: &[PathBytes]) {
    text.push_str("COPY --from=full [ \\\n");
    for file in files {
        let _infallible = writeln!(text, "  {}, \\", words::source(&spelled(file)));
    }
    let slash = if dir.as_bytes() == b"/" { "" } else { "/" };
    let _infallible = writeln!(text, "  {} ]", words::target(&format!("{}{slash}", spelled(dir))));
}

/// Only what can be spelled is copied.
fn spelled(path: &PathBytes) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(path.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> ImageRef {
        ImageRef { id: "sha256:1".into(), repo_digests: [].into(), names: ["app:1".into()].into() }
    }

    #[test]
    fn files_are_copied_directory_by_directory() {
        let copied = BTreeMap::from([
            ("/".into(), vec!["/x".into()]),
            ("/a b".into(), vec!["/a b/[".into(), "/a b/z".into()]),
        ]);
        let config = Lines { lines: vec!["CMD [\"/x\"]".into()], notes: vec!["no\nnews".into()] };
        let text = dockerfile(&reference(), &copied, &config);
        let (head, stages) = text.split_once("AS full\n").unwrap();
        assert!(head.contains("ARG ORIGINAL=app:1\n"), "{head}");
        assert_eq!(
            stages,
            "\nFROM scratch AS files0\n\
             COPY --from=full [ \\\n  \"/x\", \\\n  \"/\" ]\n\
             COPY --from=full [ \\\n  \"/a b/[[]\", \\\n  \"/a b/z\", \\\n  \"/a b/\" ]\n\
             \nFROM scratch\nCOPY --from=files0 / /\nADD skeleton.tar /\nCMD [\"/x\"]\n# no\\nnews\n"
        );
    }

    #[test]
    fn no_stage_is_too_deep() {
        let copied = (0..250).map(|n| (format!("/{n}").as_str().into(), vec!["/x".into()])).collect();
        let text = dockerfile(&reference(), &copied, &Lines::default());
        assert_eq!(text.matches("FROM scratch AS files").count(), 3);
        let deepest = text.split("FROM ").map(|stage| stage.matches("COPY ").count()).max();
        assert_eq!(deepest, Some(STAGE));
    }
}
