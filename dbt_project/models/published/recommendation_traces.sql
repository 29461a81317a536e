{{ shown_traces(source('model', 'traces'), ['as_of', 'customer_id', 'product_id']) }}
