use std::ops::Range;

use lockstep_protocol::Level;

use crate::Entity;

/// An entity in a unit: what one worker runs at a stretch, a device that is connected to with all below it, a group with its clients,
/// the fleet, or an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its level.
    pub level: Level,
    /// The entity.
    pub entity: Entity,
    /// The index of its parent. `None` for the first one.
    pub parent: Option<usize>,
    /// The index behind the last entity below it.
    end: usize,
}

/// The entities of a unit, parents before children, each directly followed by all below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitTree(Vec<Node>);

impl UnitTree {
    /// Adds an entity below another one, which is the last one that was added, or one above that. Returns its index.
    pub fn add(&mut self, parent: Option<usize>, level: Level, entity: Entity) -> usize {
        let index = self.0.len();
        self.0.push(Node {
            level,
            entity,
            parent,
            end: index + 1,
        });
        let mut above = parent;
        while let Some(node) = above.and_then(|above| self.0.get_mut(above)) {
            node.end = index + 1;
            above = node.parent;
        }
        index
    }

    /// All entities.
    pub fn nodes(&self) -> &[Node] {
        &self.0
    }

    /// The indexes of all entities below one.
    pub fn below(&self, index: usize) -> Range<usize> {
        self.0.get(index).map_or(index..index, |node| index + 1..node.end)
    }

    /// The indexes in the order of the run steps: children before parents, siblings in their order.
    pub fn upwards(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.0.len());
        let mut open: Vec<usize> = Vec::new();
        for index in 0..self.0.len() {
            while let Some(last) = open.pop_if(|last| self.0[*last].end <= index) {
                order.push(last);
            }
            open.push(index);
        }
        order.extend(open.into_iter().rev());
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(name: &str) -> Entity {
        Entity {
            level: Level::Device,
            id: 0,
            name: name.to_owned(),
            device: None,
            item: None,
        }
    }

    #[test]
    fn children_follow_their_parents_and_come_before_them_on_the_way_up() {
        let mut tree = UnitTree::default();
        let controller = tree.add(None, Level::NornirDevice, entity("c"));
        let one = tree.add(Some(controller), Level::Device, entity("d1"));
        let first = tree.add(Some(one), Level::Interface, entity("i1"));
        tree.add(Some(first), Level::InterfaceClient, entity("m1"));
        tree.add(Some(one), Level::Interface, entity("i2"));
        tree.add(Some(controller), Level::Device, entity("d2"));
        let names = |indexes: &[usize]| -> Vec<String> {
            indexes
                .iter()
                .map(|index| tree.nodes()[*index].entity.name.clone())
                .collect()
        };
        assert_eq!(names(&tree.upwards()), ["m1", "i1", "i2", "d1", "d2", "c"]);
        assert_eq!(tree.below(controller), 1..6);
        assert_eq!(tree.below(one), 2..5);
        assert_eq!(tree.below(5), 6..6);
        assert_eq!(tree.below(9), 9..9);
        assert!(UnitTree::default().upwards().is_empty());
    }
}
