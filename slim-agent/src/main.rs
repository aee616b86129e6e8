//! Entry point.

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut p = slim_agent::probe::Probe::attach(slim_agent::probe::Purpose::Record)?;
    println!("{:?}", p.hooks());
    println!("{:?}", p.tally()?);
    p.close_scopes()?;
    Ok(())
}
