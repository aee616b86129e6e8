//! Which layers an image is made of, and which of the kept entries is in which.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::image::archive::Section;
use crate::image::{Entry, ImageSource};
use crate::manifest::PathBytes;
use crate::plan::Plan;

mod base;

pub use base::Base;

/// How the kept entries are laid out in layers.
#[derive(Debug, Default)]
pub enum Shape {
    /// All in one layer.
    #[default]
    Merged,
    /// Each in the layer that provides it in the original, so that images with a common base go on sharing it. Layers
    /// of which nothing is kept are left out.
    Kept,
    /// What another image lacks or has otherwise, in one layer on top of that image.
    On(Box<Base>),
}

/// What one layer holds.
pub(super) struct Content {
    /// In the order in which they are written: directories before what is in them.
    pub items: Vec<Item>,
    /// For the image's history.
    pub comment: String,
}

/// One entry of a layer.
pub(super) enum Item {
    /// The plan's entry at a path.
    AsItIs(PathBytes),
    /// An entry that was looked up already; of a directory, as one of the original's layers has it.
    Known(Entry),
}

impl Shape {
    /// Layers that are taken as they are, lowest first, below all others.
    pub(super) fn ready_layers(&self) -> &[Section] {
        match self {
            Self::Merged | Self::Kept => &[],
            Self::On(base) => base.layers(),
        }
    }

    /// History entries of the layers that are taken as they are.
    pub(super) fn history(&self) -> Result<Vec<Value>> {
        match self {
            Self::Merged | Self::Kept => Ok(Vec::new()),
            Self::On(base) => base.history(),
        }
    }

    /// What is to be said in the manifest.
    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        match self {
            Self::Merged | Self::Kept => BTreeMap::new(),
            Self::On(base) => base.annotations(),
        }
    }
}

/// The layers to be written, lowest first.
pub(super) fn contents(plan: &Plan, image: &dyn ImageSource, shape: &Shape) -> Result<Vec<Content>> {
    let of = format!("of {} that recordings saw used", image.id());
    match shape {
        Shape::Merged => {
            let items = plan.paths().into_iter().cloned().map(Item::AsItIs).collect();
            Ok(vec![Content { items, comment: format!("{} files {of}", plan.totals.files) }])
        }
        Shape::Kept => layer_by_layer(plan, image, &of),
        Shape::On(base) => {
            let items: Vec<_> = base.lacks(plan, image)?.into_iter().map(Item::Known).collect();
            let comment =
                format!("{} entries {of}, that {} has not or has otherwise", items.len(), base.id());
            Ok(vec![Content { items, comment }])
        }
    }
}

/// A directory is in every layer that has it, as that layer has it; anything else only in the layer that provides it.
/// So what a layer holds depends on nothing that is above it but on what is kept, and what upper layers hide needs no
/// whiteout: it is not there. What the plan makes up is in a layer above them all.
fn layer_by_layer(plan: &Plan, image: &dyn ImageSource, of: &str) -> Result<Vec<Content>> {
    let total = image.layers();
    let mut layers: Vec<BTreeMap<PathBytes, Item>> = (0..total).map(|_| BTreeMap::new()).collect();
    let mut strata = BTreeMap::new();
    let mut own = vec![0_usize; image.layers()];
    for path in plan.kept.keys() {
        let entry = image.lookup(path)?.with_context(|| format!("{path} vanished from the image"))?;
        if !entry.is_dir() {
            let number = image.layer_of(&entry);
            let layer = layers.get_mut(number).with_context(|| format!("{path} is in an unknown layer"))?;
            layer.insert(path.clone(), Item::Known(entry));
            own[number] += 1;
            continue;
        }
        let known = image.strata(path)?;
        for dir in &known {
            let layer = layers.get_mut(image.layer_of(dir));
            layer
                .context("a directory is in an unknown layer")?
                .insert(path.clone(), Item::Known(dir.clone()));
        }
        strata.insert(path.clone(), known);
    }
    layers.push(plan.generated.keys().map(|path| (path.clone(), Item::AsItIs(path.clone()))).collect());
    for (number, layer) in layers.iter_mut().enumerate() {
        for dir in unlisted_parents(layer) {
            let known = strata.get(&dir).into_iter().flatten();
            let below = known.take_while(|entry| image.layer_of(entry) < number).last();
            if let Some(entry) = below {
                layer.insert(dir, Item::Known(entry.clone()));
            }
        }
    }
    let comment = |number: usize| match own.get(number) {
        Some(files) => format!("{files} files {of}, from its layer {} of {total}", number + 1),
        None => "what is left of the packages".to_owned(),
    };
    let content = |(number, layer): (usize, BTreeMap<_, Item>)| Content {
        items: layer.into_values().collect(),
        comment: comment(number),
    };
    let filled = layers.into_iter().enumerate().filter(|(_, layer)| !layer.is_empty());
    Ok(filled.map(content).collect())
}

/// Directories above a layer's entries that the layer does not have itself: engines would make them up, and hide how
/// lower layers have them.
fn unlisted_parents(layer: &BTreeMap<PathBytes, Item>) -> BTreeSet<PathBytes> {
    let mut unlisted = BTreeSet::new();
    for path in layer.keys() {
        let mut above = path.parent();
        while let Some(dir) = above.filter(|dir| dir.as_bytes() != b"/") {
            if layer.contains_key(&dir) || unlisted.contains(&dir) {
                break;
            }
            above = dir.parent();
            unlisted.insert(dir);
        }
    }
    unlisted
}

#[cfg(test)]
mod tests;
