//! Contenders take turns: A B C in one round, C B A in the next one, so that none of them always gets the slower machine.

use std::fmt::Debug;

/// The two sides of most comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Baseline,
    Lockstep,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Baseline, Self::Lockstep];
}

/// What each contender measured, by round.
#[derive(Debug)]
pub(crate) struct Runs<C, T>(Vec<(C, Vec<T>)>);

impl<C: Copy + PartialEq, T> Runs<C, T> {
    /// The measurements of a contender, in the order of the rounds; none if it did not take part.
    pub(crate) fn of(&self, contender: C) -> &[T] {
        let all = self.0.iter().find(|(other, _)| *other == contender);
        all.map_or(&[], |(_, measured)| measured)
    }

    /// A figure of a contender, by round.
    pub(crate) fn each(&self, contender: C, figure: impl Fn(&T) -> f64) -> Vec<f64> {
        self.of(contender).iter().map(figure).collect()
    }
}

/// Measures all contenders in each round, and prints each measurement.
///
/// # Errors
/// The first error of a measurement.
pub(crate) async fn alternate<C: Copy + Debug, T: Debug>(
    what: &str,
    rounds: u32,
    contenders: &[C],
    mut measure: impl AsyncFnMut(C) -> anyhow::Result<T>,
) -> anyhow::Result<Runs<C, T>> {
    let mut all: Vec<(C, Vec<T>)> = contenders
        .iter()
        .map(|contender| (*contender, Vec::new()))
        .collect();
    for round in 0..rounds {
        for place in order(round, contenders.len()) {
            let (contender, into) = &mut all[place];
            let measured = measure(*contender).await?;
            eprintln!("{what}, round {}: {contender:?} {measured:.1?}", round + 1);
            into.push(measured);
        }
    }
    Ok(Runs(all))
}

/// The order of the contenders in a round.
fn order(round: u32, contenders: usize) -> impl Iterator<Item = usize> {
    let backwards = round % 2 == 1;
    (0..contenders).map(move |place| if backwards { contenders - 1 - place } else { place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_second_round_is_backwards_and_its_measurements_are_in_the_order_of_rounds() {
        let mut calls = Vec::new();
        let rounds = alternate("test", 3, &['A', 'B', 'C'], async |who| {
            calls.push(who);
            Ok(calls.len())
        })
        .await
        .unwrap();
        assert_eq!(rounds.of('A'), [1, 6, 7]);
        assert_eq!(rounds.of('C'), [3, 4, 9]);
        assert!(rounds.of('D').is_empty());
        assert_eq!(calls.iter().collect::<String>(), "ABCCBAABC");
    }
}
