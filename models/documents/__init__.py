"""Business documents: what MongoDB keeps, a file each. JSON and MongoDB both spell their fields in camelCase."""
