//! Where `export image` writes to, as it is typed and as it is meant.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::exit::{Exit, tag};
use crate::export::image::Reference;
use crate::export::output::Output;
use crate::manifest::io::is_stdout;

/// Arguments that say where the image goes: at least one, and any of them together.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("output").required(true).multiple(true)))]
pub struct OutputArgs {
    /// Load the new image into the engine, under this name
    #[arg(short, long, value_name = "NAME:TAG", group = "output")]
    tag: Option<String>,

    /// What the image is called in --oci and --archive [default: as in the engine, or in the registry]
    #[arg(long, value_name = "NAME:TAG", conflicts_with = "tag")]
    name: Option<String>,

    /// Write an OCI image layout; the directory is new, empty, or of an earlier export
    #[arg(long, value_name = "DIR", group = "output")]
    oci: Option<PathBuf>,

    /// Write an archive for `docker load`, `podman load` or `skopeo`; `-` is standard output
    #[arg(long, value_name = "FILE", group = "output")]
    archive: Option<PathBuf>,

    /// Send it to a registry, with the credentials of `docker login`
    #[arg(long, value_name = "HOST/NAME:TAG", group = "output")]
    push: Option<String>,
}

/// What was meant.
#[derive(Debug)]
pub struct Outputs {
    /// In the order in which they are written: what others can see comes last.
    pub all: Vec<Output>,
    /// What the image is called: as in the engine, else as it is said, else as in the registry.
    pub name: Option<Reference>,
    /// What the export as a whole is called in messages and explanations.
    pub title: String,
    /// A file name made of it.
    pub file_name: String,
}

impl OutputArgs {
    /// What was meant.
    ///
    /// # Errors
    /// Usage: a name is none.
    pub fn outputs(&self) -> Result<Outputs> {
        let (tag, push) = (reference(self.tag.as_deref())?, reference(self.push.as_deref())?);
        let name = tag.clone().or(reference(self.name.as_deref())?).or_else(|| push.clone());
        let layout = self.oci.clone().map(Output::Layout);
        let archive = self.archive.clone().map(Output::Archive);
        let (engine, registry) = (tag.map(Output::Engine), push.map(Output::Registry));
        let all = [layout, archive, engine, registry].into_iter().flatten().collect();
        let place = self.oci.as_deref().or(self.archive.as_deref()).filter(|place| !is_stdout(place));
        let stem = place.and_then(Path::file_stem).map(|stem| stem.to_string_lossy().into_owned());
        let title = name.as_ref().map(ToString::to_string).or_else(|| place.map(|p| p.display().to_string()));
        let file_name = name.as_ref().map(Reference::file_name).or(stem);
        let or_slim = |text: Option<String>| text.unwrap_or_else(|| "slim".to_owned());
        Ok(Outputs { all, name, title: or_slim(title), file_name: or_slim(file_name) })
    }

    /// Fails when the image and something else, or two others, want standard output.
    ///
    /// # Errors
    /// Usage: they do.
    pub fn share_stdout(&self, explanation: &Path, json: bool) -> Result<()> {
        let archive = self.archive.as_deref().is_some_and(is_stdout);
        let wishes =
            [(archive, "--archive -"), (is_stdout(explanation), "--explain -"), (json, "--format json")];
        let wishes: Vec<&str> =
            wishes.into_iter().filter_map(|(wants, what)| wants.then_some(what)).collect();
        let message = || format!("{} both want standard output: choose one", wishes.join(" and "));
        ensure!(wishes.len() < 2, tag(Exit::Usage, message()));
        Ok(())
    }
}

fn reference(text: Option<&str>) -> Result<Option<Reference>> {
    text.map(|text| text.parse().map_err(|why: String| tag(Exit::Usage, why))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: OutputArgs,
    }

    fn outputs(line: &str) -> Outputs {
        let words = ["x"].into_iter().chain(line.split(' ').filter(|word| !word.is_empty()));
        Line::try_parse_from(words).unwrap().args.outputs().unwrap()
    }

    #[test]
    fn names_of_exports() {
        let all = outputs("--push h:1/a:b --tag c --archive d.tar --oci e");
        assert_eq!((all.title.as_str(), all.file_name.as_str(), all.all.len()), ("c:latest", "c_latest", 4));
        assert!(matches!(all.all.last(), Some(Output::Registry(_))));
        assert_eq!(outputs("--push h:1/a:b").title, "h:1/a:b");
        let file = outputs("--archive /x/d.tar");
        assert_eq!((file.title.as_str(), file.file_name.as_str(), file.name), ("/x/d.tar", "d", None));
        assert_eq!(outputs("--archive -").file_name, "slim");
    }

    #[test]
    fn an_image_goes_somewhere() {
        assert!(Line::try_parse_from(["x"]).is_err());
    }
}
