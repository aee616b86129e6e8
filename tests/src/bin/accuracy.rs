//! Measures.
use anyhow::Result;
fn main() -> Result<()> {
    for name in std::env::args().skip(1) {
        let a = slim_tests::accuracy::measure(&name, std::path::Path::new("/tmp/acc"))?;
        println!("{name}: traced {} recorded {} recall {} precision {}", a.traced.len(), a.recorded.len(), a.recall(), a.precision());
        for m in a.missed() { println!("  missed {}", m.display()); }
        for (m, u) in a.extra() { println!("  extra {} {u:?}", m.display()); }
    }
    Ok(())
}
