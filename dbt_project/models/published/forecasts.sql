{{ as_written('forecasts', source('model', 'forecasts'), ['as_of', 'campaign', 'forecast_as_of']) }}
