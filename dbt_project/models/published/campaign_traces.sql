{{ shown_traces(source('model', 'campaign_traces'), ['campaign', 'as_of', 'customer_id', 'product_id']) }}
