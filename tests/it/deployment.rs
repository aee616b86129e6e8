//! What is in `deploy/` is understood by those it is for: systemd, Kubernetes and Prometheus. That dashboard and alerts name metrics that
//! there are is tested beside the exporter.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use slim_tests::{Outcome, agent, outcome, promtool, read_json, write_json};

use crate::harden::platforms::kubernetes;

/// What `systemd-analyze security` may find at most, of 10 (in tenths: it counts in them itself).
const EXPOSURE: &str = "33";

fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

/// The unit, with the agent that is tested instead of the installed one, and a text replaced.
fn unit(text: &str, by: &str) -> Result<(tempfile::TempDir, PathBuf)> {
    let place = tempfile::tempdir()?;
    let path = place.path().join("slim-agent.service");
    let whole = fs::read_to_string(deployed("systemd/slim-agent.service"))?;
    ensure!(whole.contains(text), "the unit has no {text:?}");
    let agent = fs::canonicalize(agent()?.get_program())?;
    let agent = agent.to_str().context("the agent's path is no text")?;
    fs::write(&path, whole.replace("/usr/local/bin/slim-agent", agent).replacen(text, by, 1))?;
    Ok((place, path))
}

fn verified(unit: &Path) -> Result<Outcome> {
    let verified = outcome(Command::new("systemd-analyze").arg("verify").arg(unit))?;
    // What systemd passes over it only tells.
    let is_clean = !verified.stderr.contains("slim-agent.service");
    Ok(if is_clean { verified } else { Outcome { code: Some(1), ..verified } })
}

#[test]
fn systemd_takes_the_unit_and_finds_little_exposed() -> Result<()> {
    let (_place, path) = unit("", "")?;
    verified(&path)?.expect(0)?;
    let security = |unit: &Path| {
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE]);
        outcome(analyze.arg(unit))
    };
    security(&path)?.expect(0)?;
    let (_place, path) = unit("NoNewPrivileges=yes", "NoNewPrivileges=maybe")?;
    ensure!(verified(&path)?.code != Some(0), "what is wrong is taken, too");
    let (_place, path) =
        unit("CapabilityBoundingSet=CAP_BPF", "CapabilityBoundingSet=CAP_SYS_ADMIN CAP_BPF")?;
    ensure!(security(&path)?.code != Some(0), "a capability more is not found");
    Ok(())
}

#[test]
fn kubernetes_takes_the_daemonset() -> Result<()> {
    let path = deployed("kubernetes/daemonset.yaml");
    kubernetes(&path)?.expect(0)?;
    let place = tempfile::tempdir()?;
    let broken = place.path().join("daemonset.yaml");
    for (text, by) in [("hostPID: true", "hostPIDs: true"), ("\"BPF\", \"PERFMON\"", "1, 2")] {
        let whole = fs::read_to_string(&path)?;
        ensure!(whole.contains(text), "the manifest has no {text:?}");
        fs::write(&broken, whole.replacen(text, by, 1))?;
        ensure!(kubernetes(&broken)?.code != Some(0), "what is wrong is taken, too: {by}");
    }
    Ok(())
}

/// The agent itself takes the configuration that Kubernetes gives to it.
#[test]
fn the_daemon_takes_the_configuration_of_the_daemonset() -> Result<()> {
    let text = fs::read_to_string(deployed("kubernetes/daemonset.yaml"))?;
    let (_, after) = text.split_once("  config.toml: |\n").context("there is no configuration")?;
    let (config, _) = after.split_once("---\n").context("the configuration has no end")?;
    let config: String =
        config.lines().map(|line| format!("{}\n", line.trim_start_matches("    "))).collect();
    let place = tempfile::tempdir()?;
    let path = place.path().join("config.toml");
    fs::write(&path, &config)?;
    outcome(agent()?.args(["daemon", "--check", "--config"]).arg(&path))?.expect(0)?;
    // What stands there as an example, too.
    let (settings, example) = config.split_once("# [[watch]]").context("there is no example")?;
    let example: Vec<_> = example.lines().map(|line| line.trim_start_matches("# ")).collect();
    fs::write(&path, format!("{settings}[[watch]]{}", example.join("\n")))?;
    outcome(agent()?.args(["daemon", "--check", "--config"]).arg(&path))?.expect(0).map(drop)
}

#[test]
fn prometheus_takes_the_alerts() -> Result<()> {
    let alerts = deployed("prometheus/alerts.yml");
    outcome(promtool()?.args(["check", "rules", "--lint-fatal"]).arg(&alerts))?.expect(0)?;
    // A rule that is true alerts after its time, and only that one.
    let place = tempfile::tempdir()?;
    let test = place.path().join("test.yml");
    fs::write(&test, ALERTED.replace("@RULES@", alerts.to_str().context("no text")?))?;
    outcome(promtool()?.args(["test", "rules"]).arg(&test))?.expect(0)?;
    Ok(())
}

/// A daemon with few slots left, and a full disk.
const ALERTED: &str = r#"
rule_files: [@RULES@]
tests:
  - interval: 1m
    input_series:
      - { series: 'slim_agent_slots{instance="a",state="used"}', values: '60+0x30' }
      - { series: 'slim_agent_slots{instance="a",state="free"}', values: '4+0x30' }
      - { series: 'slim_agent_slots{instance="b",state="used"}', values: '4+0x30' }
      - { series: 'slim_agent_slots{instance="b",state="free"}', values: '60+0x30' }
      - { series: 'slim_agent_checkpoints_paused{instance="b"}', values: '1+0x30' }
      - { series: 'slim_agent_losses_total{instance="b",reason="not_delivered"}', values: '5+0x10 6+0x20' }
    alert_rule_test:
      - { eval_time: 5m, alertname: SlimAgentSlotsNearlyFull }
      - eval_time: 15m
        alertname: SlimAgentSlotsNearlyFull
        exp_alerts:
          - exp_labels: { severity: warning, instance: a }
            exp_annotations:
              summary: "slim-agent on a has 6.25% of its slots left"
              description: "Containers beyond that are not recorded from their first instruction."
      - { eval_time: 5m, alertname: SlimAgentLosses }
    promql_expr_test:
      - expr: count(ALERTS_FOR_STATE{alertname="SlimAgentDiskPaused"})
        eval_time: 15m
        exp_samples: [{ labels: "{}", value: 1 }]
      - expr: count(ALERTS_FOR_STATE{alertname="SlimAgentLosses", reason="not_delivered"})
        eval_time: 15m
        exp_samples: [{ labels: "{}", value: 1 }]
"#;

#[test]
fn prometheus_understands_what_the_dashboard_asks() -> Result<()> {
    let dashboard = read_json(&deployed("grafana/slim-agent.json"))?;
    let panels = dashboard["panels"].as_array().context("there are no panels")?;
    let mut rules = Vec::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = &panel["title"];
        let targets = panel["targets"].as_array().with_context(|| format!("{title} asks for nothing"))?;
        for target in targets {
            ensure!(target["datasource"]["uid"] == "${datasource}", "{title} has a source of its own");
            let expr = target["expr"].as_str().context("no expression")?;
            rules.push(serde_json::json!({
                "record": format!("rule_{}", rules.len()),
                "expr": expr.replace("$instance", ".*").replace("$profile", ".*"),
            }));
        }
    }
    ensure!(rules.len() > panels.len(), "there are too few: {}", rules.len());
    let place = tempfile::tempdir()?;
    // JSON is YAML, too.
    let path = write_json(
        place.path(),
        "rules.yml",
        &serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] }),
    )?;
    outcome(promtool()?.args(["check", "rules"]).arg(&path))?.expect(0)?;
    Ok(())
}
