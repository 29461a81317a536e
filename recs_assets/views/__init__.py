"""What people look at: functions that read what a run left, and return plain rows.

They read the published snapshot and the kept files of its week (lists, ids, models, campaigns), never the
week's build file, and write nothing. No web in here: `app.ui` shows what they return.
"""
