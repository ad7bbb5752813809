//! Which variable a name is. The variables of a template itself are kept by name, as other templates see them; those of loops, macros
//! and blocks have numbered slots.

use lockstep_protocol::SmolStr;
use std::collections::BTreeMap;

/// A name, and the slots that may have its value: the first that is set counts, then the variables of the template.
pub(crate) struct Name {
    pub(crate) name: SmolStr,
    pub(crate) slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// How many units lie between: 0 is the unit of the name, 1 is the one that defines its macro.
    pub(crate) up: u16,
    pub(crate) slot: u16,
}

/// The scopes of a template while it is parsed.
pub(super) struct Scopes {
    all: Vec<Scope>,
    /// How many slots each unit has.
    units: Vec<u16>,
    current: usize,
    names: Vec<(SmolStr, usize)>,
    views: Vec<usize>,
}

struct Scope {
    parent: Option<usize>,
    unit: usize,
    slots: BTreeMap<SmolStr, u16>,
}

/// The scope that was current before.
#[derive(Clone, Copy)]
pub(super) struct Outer(usize);

impl Scopes {
    pub(super) fn new() -> Self {
        Self {
            all: vec![Scope {
                parent: None,
                unit: 0,
                slots: BTreeMap::new(),
            }],
            units: vec![0],
            current: 0,
            names: Vec::new(),
            views: Vec::new(),
        }
    }

    /// Begins a scope in the same unit.
    pub(super) fn begin(&mut self) -> Outer {
        let unit = self.all[self.current].unit;
        self.push(Some(self.current), unit)
    }

    /// Begins a unit. A block does not see the variables around it.
    pub(super) fn begin_unit(&mut self, sees_outer: bool) -> Outer {
        self.units.push(0);
        self.push(sees_outer.then_some(self.current), self.units.len() - 1)
    }

    fn push(&mut self, parent: Option<usize>, unit: usize) -> Outer {
        self.all.push(Scope {
            parent,
            unit,
            slots: BTreeMap::new(),
        });
        Outer(std::mem::replace(&mut self.current, self.all.len() - 1))
    }

    pub(super) fn end(&mut self, outer: Outer) {
        self.current = outer.0;
    }

    pub(super) fn is_root(&self) -> bool {
        self.current == 0
    }

    /// How many slots the current unit has up to now.
    pub(super) fn slots(&self) -> usize {
        usize::from(self.units[self.all[self.current].unit])
    }

    /// A slot without a name.
    pub(super) fn slot(&mut self) -> u16 {
        let slots = &mut self.units[self.all[self.current].unit];
        let slot = *slots;
        *slots = slots.saturating_add(1);
        slot
    }

    /// The slot of a variable of the current scope.
    pub(super) fn declare(&mut self, name: &SmolStr) -> u16 {
        if let Some(slot) = self.all[self.current].slots.get(name) {
            return *slot;
        }
        let slot = self.slot();
        self.all[self.current].slots.insert(name.clone(), slot);
        slot
    }

    /// The index of a name that is used in the current scope.
    pub(super) fn use_name(&mut self, name: SmolStr) -> u32 {
        self.names.push((name, self.current));
        u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX)
    }

    /// How many uses of names there are up to now.
    pub(super) fn used_names(&self) -> usize {
        self.names.len()
    }

    /// Whether a name was used since then.
    pub(super) fn is_used_since(&self, uses: usize, name: &str) -> bool {
        self.names.iter().skip(uses).any(|(used, _)| **used == *name)
    }

    /// The index of all names visible in the current scope.
    pub(super) fn view(&mut self) -> u32 {
        self.views.push(self.current);
        u32::try_from(self.views.len() - 1).unwrap_or(u32::MAX)
    }

    /// The names and the views. A macro sees what is set after it, so they are known only at the end.
    pub(super) fn resolve(&self) -> (Vec<Name>, Vec<Vec<Name>>) {
        let names = self.names.iter().map(|(name, scope)| Name {
            name: name.clone(),
            slots: self.slots_of(name, *scope),
        });
        let views = self.views.iter().map(|scope| {
            let scopes = self.chain(*scope);
            let visible: std::collections::BTreeSet<_> =
                scopes.flat_map(|(_, scope)| scope.slots.keys()).collect();
            let names = visible.into_iter().map(|name| Name {
                name: name.clone(),
                slots: self.slots_of(name, *scope),
            });
            names.collect()
        });
        (names.collect(), views.collect())
    }

    fn slots_of(&self, name: &str, scope: usize) -> Vec<Slot> {
        let scopes = self.chain(scope);
        let slots = scopes.filter_map(|(up, scope)| {
            let slot = *scope.slots.get(name)?;
            Some(Slot { up, slot })
        });
        slots.collect()
    }

    /// A scope and those around it, with the number of units between.
    fn chain(&self, scope: usize) -> impl Iterator<Item = (u16, &Scope)> {
        let mut next = Some(scope);
        let mut up = 0;
        let mut unit = self.all[scope].unit;
        std::iter::from_fn(move || {
            let scope = &self.all[next?];
            if scope.unit != unit {
                unit = scope.unit;
                up += 1;
            }
            next = scope.parent;
            Some((up, scope))
        })
    }
}
