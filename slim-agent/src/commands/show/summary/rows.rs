//! Which figures the table has, and where each comes from.

use super::{Figure, Unit};
use crate::capability;
use crate::commands::show::capabilities::Capabilities;
use crate::commands::show::known::Known;
use crate::commands::show::sockets::observed_ports;
use crate::commands::show::writes::Writes;
use crate::export::seccomp::{self, passes_engine};
use crate::surface::{Count, EXECUTABLES, KINDS, Left, Surface};
use crate::syscall_table::{self, Abi};

/// All figures, and what there is to say of them.
pub fn all(known: &Known) -> (Vec<Figure>, Vec<String>) {
    let mut notes = Vec::new();
    let mut figures: Vec<Figure> = sizes(known).into();
    figures.extend(packages(known));
    figures.extend(kinds(known));
    figures.push(capabilities(known, &mut notes));
    figures.extend(syscalls(known, &mut notes));
    figures.push(ports(known, &mut notes));
    let image = surface(known);
    let written = Writes::new(known).count() as u64;
    let directories = image.map(|surface| surface.directories);
    figures.push(Figure::count("writable-directories", directories, Some(written), "--writes"));
    (figures, notes)
}

fn surface(known: &Known) -> Option<&Surface> {
    known.image.as_ref()?.surface.as_ref()
}

fn sizes(known: &Known) -> [Figure; 2] {
    let (original, slim) =
        (surface(known).map(|surface| surface.original), surface(known).map(|surface| surface.slim));
    let bytes = Figure {
        unit: Unit::Bytes,
        ..Figure::count("bytes", original.map(|of| of.bytes), slim.map(|of| of.bytes), "--files")
    };
    [bytes, Figure::count("files", original.map(|of| of.files), slim.map(|of| of.files), "--files")]
}

/// Packages of the original, and how many are left whole, in part, and not at all.
fn packages(known: &Known) -> [Figure; 4] {
    let left = |left: Left| {
        let all = known.packages()?.iter();
        Some(all.filter(|package| package.left == left).count() as u64)
    };
    let (whole, partial, removed) = (left(Left::Whole), left(Left::Partial), left(Left::Removed));
    let all = known.packages().map(|all| all.len() as u64);
    let none = all.map(|_| 0);
    let kept = whole.zip(partial).map(|(whole, partial)| whole + partial);
    [
        Figure::count("packages", all, kept, "--packages"),
        Figure::count("packages-whole", all, whole, "--packages"),
        Figure::count("packages-partial", none, partial, "--packages"),
        Figure::count("packages-removed", none, removed, "--packages"),
    ]
}

fn kinds(known: &Known) -> impl Iterator<Item = Figure> {
    KINDS.iter().map(|kind| {
        let count: Option<Count> = surface(known).map(|surface| surface.count(kind.name));
        let shown_by = if kind.name == EXECUTABLES { "--executables" } else { "--surface" };
        let figure = |original, slim| Figure::count(kind.name, original, slim, shown_by);
        let figure = figure(count.map(|count| count.original), count.map(|count| count.slim));
        Figure { ran: count.filter(|_| kind.can_run()).map(|count| count.ran), ..figure }
    })
}

/// What the engine gives a process, and what the application needs of it.
fn capabilities(known: &Known, notes: &mut Vec<String>) -> Figure {
    let view = Capabilities::new(known);
    notes.extend(view.caveat());
    let original = capability::ENGINE_DEFAULT.len() as u64;
    Figure::count("capabilities", Some(original), view.count(), "--capabilities")
}

/// Calls of the native ABI: of the kernel's table, and of those that the engine's default lets through, how many the
/// profile allows.
fn syscalls(known: &Known, notes: &mut Vec<String>) -> [Figure; 2] {
    let shown_by = "--syscalls";
    let abi = known.manifest.syscalls.keys().find_map(|abi| abi.parse::<Abi>().ok()).map(Abi::native);
    let table = abi.map(syscall_table::names);
    let default = table.as_ref().map(|names| names.iter().filter(|name| passes_engine(name)).count() as u64);
    let reasons = match seccomp::export(&known.manifest) {
        Ok(export) => Some(export.reasons),
        Err(error) => {
            notes.push(format!("system calls: {error:#}"));
            None
        }
    };
    let allowed = |passes: fn(&str) -> bool| {
        let (table, reasons) = (table.as_ref()?, reasons.as_ref()?);
        Some(table.iter().filter(|name| reasons.contains_key(**name) && passes(name)).count() as u64)
    };
    let all = table.as_ref().map(|names| names.len() as u64);
    [
        Figure::count("syscalls-of-kernel", all, allowed(|_| true), shown_by),
        Figure::count("syscalls-of-engine", default, allowed(passes_engine), shown_by),
    ]
}

/// Ports that the image declares, and those that something waited at.
fn ports(known: &Known, notes: &mut Vec<String>) -> Figure {
    let observed = observed_ports(&known.manifest);
    let declared = known.image.as_ref().map(|image| &image.declared);
    if let Some(declared) = declared {
        let number = |port: &str| port.split('/').next().unwrap_or_default().to_owned();
        let (seen, said): (Vec<_>, Vec<_>) = (
            observed.iter().map(|port| number(port)).collect(),
            declared.iter().map(|port| number(port)).collect(),
        );
        for port in declared.iter().filter(|port| !seen.contains(&number(port))) {
            notes.push(format!("port {port} is declared, and nothing waited there"));
        }
        for port in observed.iter().filter(|port| !said.contains(&number(port))) {
            notes.push(format!("port {port} is not declared, and something waited there"));
        }
    }
    Figure::count(
        "ports",
        declared.map(|declared| declared.len() as u64),
        Some(observed.len() as u64),
        "--connects",
    )
}
