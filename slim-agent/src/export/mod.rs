//! What is made of a plan or a manifest: one file for each form. Exporters see facts, never events.

pub mod image;
