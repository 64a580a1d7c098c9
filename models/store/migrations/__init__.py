"""What a release changes in MongoDB, a module each: `name`, `dependencies`, `upgrade(db)`, `downgrade(db)`.

Each gets PyMongo's own blocking database, runs once, and leaves what a second run would find done. Indexes that are
merely new need none: `models.store.indexes` makes them at every start.
"""
