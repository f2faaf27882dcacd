"""Python files of users that add entries to tables: their source, how it is imported, and where a mistake stands.

The workload reads the tables that its trials use, and the reports those of table styles.

`source`        the text of a plugin, what it imports from its folder, and their digest
`loading`       imports a plugin from its text
`places`        file and line of a table, an entry or a field of a plugin, for messages
`table_style`   `TABLE_STYLES`: entries for the reports

Imports the standard library, `orchestrator.workload` and `orchestrator.machine` only, so that a trainer may import it.
"""
