//! From kernel records to paths of the image: names are walked promptly against the container's live root.

pub mod walk;
