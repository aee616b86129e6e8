//! Do the intervals hold what they say? Measured on simulated applications of several kinds, the same in every run.
//!
//! `cargo test -p slim-agent --lib coverage::simulation -- --nocapture` prints the figures.

use super::estimate::Frequencies;

const TRIALS: usize = 500;
const FEW: usize = 5;
const MORE: usize = 15;

/// A kind of application.
struct Kind {
    name: &'static str,
    /// How likely a start needs each thing.
    chances: fn(&mut Random) -> Vec<f64>,
    /// How many things are needed together, or not at all.
    together: usize,
    /// Of the intervals from five starts, so many percent at least hold how many things are unseen...
    unseen: usize,
    /// ...and so many how many of them fifteen more starts find.
    found: usize,
}

fn always(count: usize) -> Vec<f64> {
    vec![1.0; count]
}

fn even(random: &mut Random) -> Vec<f64> {
    (0..60).map(|_| random.next() * 0.6 + 0.05).collect()
}

fn one_chance(_: &mut Random) -> Vec<f64> {
    vec![0.3; 60]
}

fn mostly_fixed(random: &mut Random) -> Vec<f64> {
    let mut chances = always(400);
    chances.extend((0..20).map(|_| random.next() * 0.6 + 0.05));
    chances
}

/// From one in a few to one in a thousand.
fn long_tail(random: &mut Random) -> Vec<f64> {
    (0..60).map(|_| f64::exp(-1.0 - 6.0 * random.next())).collect()
}

/// What is needed often, and what seldom, with nothing in between.
fn two_classes(_: &mut Random) -> Vec<f64> {
    (0..60).map(|thing| if thing < 30 { 0.5 } else { 0.05 }).collect()
}

/// Ten things that one start in fifty needs: nothing in five starts tells of them.
fn rare(_: &mut Random) -> Vec<f64> {
    let mut chances = always(400);
    chances.extend([0.02; 10]);
    chances
}

/// Bounds a little below what was measured. Of what comes one by one and not too seldom, the intervals hold 95 %. The
/// last three are what nobody can know: things that are together or alone too rare for five starts.
#[rustfmt::skip]
const KINDS: [Kind; 10] = [
    Kind { name: "one chance for all", chances: one_chance, together: 1, unseen: 95, found: 95 },
    Kind { name: "all chances", chances: even, together: 1, unseen: 95, found: 95 },
    Kind { name: "all chances, by fives", chances: even, together: 5, unseen: 90, found: 90 },
    Kind { name: "mostly fixed", chances: mostly_fixed, together: 1, unseen: 95, found: 95 },
    Kind { name: "mostly fixed, by fives", chances: mostly_fixed, together: 5, unseen: 90, found: 90 },
    Kind { name: "long tail", chances: long_tail, together: 1, unseen: 80, found: 90 },
    Kind { name: "long tail, by fives", chances: long_tail, together: 5, unseen: 80, found: 90 },
    Kind { name: "often or seldom", chances: two_classes, together: 1, unseen: 75, found: 90 },
    Kind { name: "often or seldom, by fives", chances: two_classes, together: 5, unseen: 75, found: 80 },
    Kind { name: "rare", chances: rare, together: 1, unseen: 20, found: 80 },
];

/// What became of the trials.
#[derive(Default)]
struct Tally {
    holds_unseen: usize,
    holds_found: usize,
    /// Sum of estimated less true numbers of things unseen.
    bias: f64,
    /// Sums of the estimated chances that the next start shows something new, and of the true ones.
    chances: (f64, f64),
    /// How often the upper bound of that chance holds.
    holds_chance: usize,
}

impl Tally {
    fn trial(&mut self, kind: &Kind, random: &mut Random) {
        let chances = (kind.chances)(random);
        let few: Vec<_> = (0..FEW).map(|_| start(&chances, kind.together, random)).collect();
        let more: Vec<_> = (0..MORE).map(|_| start(&chances, kind.together, random)).collect();
        let places = |thing: usize| (0..FEW).filter(|&place| few[place][thing]).collect::<Vec<_>>();
        let places: Vec<Vec<usize>> = (0..chances.len()).map(places).collect();
        let (seen, unseen): (Vec<usize>, Vec<usize>) =
            (0..chances.len()).partition(|&thing| !places[thing].is_empty());
        let things = seen.iter().map(|&thing| places[thing].as_slice());
        let Some(estimate) = Frequencies::of_places(things, FEW).estimate(seen.len()) else { return };
        let found = unseen.iter().filter(|&&thing| more.iter().any(|start| start[thing])).count();
        let interval = estimate.unseen_lower..=estimate.unseen_upper;
        self.holds_unseen += usize::from(interval.contains(&(unseen.len() as f64)));
        self.holds_found += usize::from(interval.contains(&(found as f64)));
        self.bias += estimate.unseen - unseen.len() as f64;
        let news = 1.0 - groups(&chances, kind.together, &unseen).map(|chance| 1.0 - chance).product::<f64>();
        self.chances.0 += estimate.chance_of_new;
        self.chances.1 += news;
        self.holds_chance += usize::from(news <= estimate.chance_upper);
    }
}

/// What one start needs. Things that come together share a draw.
fn start(chances: &[f64], together: usize, random: &mut Random) -> Vec<bool> {
    let mut needed = Vec::with_capacity(chances.len());
    for group in chances.chunks(together) {
        let drawn = random.next();
        needed.extend(group.iter().map(|&chance| drawn < chance));
    }
    needed
}

/// How likely each group shows something of `unseen`: as its likeliest member.
fn groups(chances: &[f64], together: usize, unseen: &[usize]) -> impl Iterator<Item = f64> {
    let mut groups = vec![0.0_f64; chances.len().div_ceil(together)];
    for &thing in unseen {
        let group = &mut groups[thing / together];
        *group = group.max(chances[thing]);
    }
    groups.into_iter()
}

#[test]
fn intervals_from_five_starts_hold_what_there_is_and_what_fifteen_more_find() {
    let mut random = Random(7);
    for kind in KINDS {
        let mut tally = Tally::default();
        (0..TRIALS).for_each(|_| tally.trial(&kind, &mut random));
        let percent = |count: usize| count as f64 * 100.0 / TRIALS as f64;
        let mean = |sum: f64| sum / TRIALS as f64;
        println!(
            "{:26} unseen held {:5.1} %, found later {:5.1} %, bias {:+6.1}; something new next: estimated {:.2}, true \
             {:.2}, upper bound holds {:5.1} %",
            kind.name,
            percent(tally.holds_unseen),
            percent(tally.holds_found),
            mean(tally.bias),
            mean(tally.chances.0),
            mean(tally.chances.1),
            percent(tally.holds_chance)
        );
        assert!(percent(tally.holds_unseen) >= kind.unseen as f64, "{}", kind.name);
        assert!(percent(tally.holds_found) >= kind.found as f64, "{}", kind.name);
        assert!(percent(tally.holds_chance) >= 90.0, "{}", kind.name);
    }
}

/// xorshift64*: reproducible, and good enough to draw from.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }
}
