//! The corpus itself: its images do what their checks ask, and a check notices when something is missing.

use anyhow::Result;
use slim_tests::{Container, corpus, image_tree, kept_entries_equal};

fn passes_its_check(name: &str) -> Result<()> {
    let image = corpus(name)?;
    image.check(&Container::run(&image.tag(), &[], &[])?)
}

#[test]
fn the_nginx_image_passes_its_check() -> Result<()> {
    passes_its_check("nginx")
}

#[test]
fn the_flask_image_passes_its_check() -> Result<()> {
    passes_its_check("flask")
}

#[test]
fn the_redis_image_passes_its_check() -> Result<()> {
    passes_its_check("redis")
}

#[test]
fn a_check_notices_one_missing_file() -> Result<()> {
    let image = corpus("nginx")?;
    let container = Container::run(&image.tag(), &[], &[])?;
    container.exec(&["rm", "/srv/site/logo.svg"])?;
    let complaint = format!("{:#}", image.check(&container).unwrap_err());
    assert!(complaint.contains("not ok /logo.svg: it is not served"), "{complaint}");
    Ok(())
}

#[test]
fn an_image_read_back_from_its_archive_equals_itself() -> Result<()> {
    let tree = image_tree(&corpus("redis")?.tag())?;
    assert_eq!(tree.get("/data").map(|entry| entry.mode), Some(0o755));
    assert!(tree.get("/usr/bin/passwd").is_some_and(|passwd| passwd.mode & 0o4000 != 0));
    kept_entries_equal(&tree, &tree, &|_| false)
}
