{{ as_written('goal_frontier', source('model', 'goal_frontier'), ['campaign', 'as_of', 'step']) }}
