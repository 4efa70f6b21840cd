"""What browsers and apps ask of the portal: one blueprint per journey."""
